// This file looks for prompt injections in one answer as it streams by. It changes nothing in the answer.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "http/head.h"
#include "scan/encoding/content_decoder.h"
#include "scan/injection/injection.h"

namespace bottle::guard {

class AnswerWatch {
 public:
  // Returns nothing if the answer is not text, or has a coding that cannot be removed. `decoded` says that feed() gets
  // the body without its codings.
  static std::optional<AnswerWatch> make(const http::Head& head, bool decoded);

  // Takes the next bytes of the body. Stops looking if they do not match the codings, and after kMost decoded bytes.
  void feed(std::string_view bytes);
  void end() { scan_.end(); }

  // Returns approximately how many bytes this object holds.
  size_t memory() const { return scan_.memory() + decoder_.memory(); }

  // Returns the findings that were not returned before.
  std::vector<scan::Injection> news();

  static constexpr uint64_t kMost = 64 << 20;

 private:
  explicit AnswerWatch(scan::ContentDecoder decoder) : decoder_(std::move(decoder)) {}

  scan::InjectionScan scan_;
  scan::ContentDecoder decoder_;
  uint64_t seen_ = 0;
  size_t told_ = 0;
};

}  // namespace bottle::guard
