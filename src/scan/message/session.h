// Remembers what the messages of one session sent, to find a secret that leaves piece by piece. Pure: the caller has
// the clock.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "scan/detector.h"

namespace bottle::scan {

// Remembers the values that one session of an agent sent. Use it on one thread only. Times are monotonic.
class Session {
 public:
  // The catalog must outlive the session.
  explicit Session(Catalog* catalog) : catalog_(catalog) {}

  // Takes the value of a parameter, header, field or frame that leaves at `now`, with its name. Finds secrets in the
  // joined values of one name, and in all joined values in the order in which they leave. The result is `incomplete`
  // if these values exceed a limit of the scan. Values longer than kLongestPiece bytes are not pieces.
  BlockResult value(std::string_view name, std::string_view value, std::chrono::steady_clock::time_point now);

  static constexpr std::chrono::seconds kTogether{60};  // pieces that are further apart in time are not joined
  static constexpr size_t kMostJoined = 512;            // the bytes of joined values that are kept for one name
  static constexpr size_t kMostNames = 64;

 private:
  // Holds the end of the joined values of one name.
  struct Joined {
    std::string text;
    std::chrono::steady_clock::time_point last;
  };
  void add(Joined& joined, std::string_view value, std::chrono::steady_clock::time_point now, BlockResult& result);

  Catalog* catalog_;
  Joined all_;
  std::map<std::string, Joined, std::less<>> by_name_;
};

}  // namespace bottle::scan
