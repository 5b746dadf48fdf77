// What all messages of one session share: the pieces of a secret that leave one by one. Pure; the caller has the clock.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "scan/stream.h"

namespace bottle::scan {

class Session {
 public:
  // The catalog must outlive it.
  explicit Session(Catalog* catalog) : catalog_(catalog) {}

  // For one message.
  Stream stream(OnFinding on_finding, std::string_view codings = {}) { return {catalog_, on_finding, codings}; }

  // A parameter, header, field or frame that leaves at `now`, with its name. Finds what the values of one name spell
  // together, and what all values spell in the order in which they leave. Values of more than kLongestPiece bytes are
  // no pieces.
  std::vector<Finding> value(std::string_view name, std::string_view value, std::chrono::steady_clock::time_point now);

  static constexpr std::chrono::seconds kTogether{60};  // pieces that are further apart are not put together
  static constexpr size_t kRow = 512;                   // bytes of pieces that are kept of one name
  static constexpr size_t kMostNames = 64;

 private:
  struct Row {
    std::string text;
    std::chrono::steady_clock::time_point last;
  };
  void add(Row& row, std::string_view value, std::chrono::steady_clock::time_point now, std::vector<Finding>& findings);

  Catalog* catalog_;
  Row all_;
  std::map<std::string, Row, std::less<>> rows_;
};

}  // namespace bottle::scan
