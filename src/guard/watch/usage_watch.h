// Reads the tokens that an answer of a model cost, as the answer streams by. Never changes the answer.
#pragma once

#include <optional>
#include <string_view>

#include "guard/budget/token_usage.h"
#include "guard/watch/coded_copy.h"
#include "http/head.h"

namespace bottle::guard {

// Watches one answer. Its exchange owns it. Unlike AnswerWatch, it never stops an answer: tokens that cannot be read
// are not counted.
class UsageWatch {
 public:
  // Returns nothing if the answer has a coding that cannot be removed. `decoded` says that feed() gets the body without
  // its codings.
  static std::optional<UsageWatch> make(const http::Head& head, bool decoded);
  // Watches one message of a WebSocket connection.
  UsageWatch() : UsageWatch(*scan::ContentDecoder::make(""), UsageReader::Layout::json) {}

  // Takes the next bytes of the body, and reads a bounded part. Reads no more after kMost decoded bytes, or if the
  // bytes do not match the codings. The same applies if the bytes of one call decode to kMostAtOnce bytes or more,
  // which no answer of a model needs.
  void feed(std::string_view bytes);
  // Returns whether more of the bytes so far must be read. Then call feed() again, without bytes, before anything
  // else.
  bool behind() const { return seen_ < kMost && copy_.behind(); }
  const UsageReader& reader() const { return reader_; }
  // Returns approximately how many bytes this object holds.
  size_t memory() const { return copy_.memory(); }

  static constexpr uint64_t kMost = 256 << 20, kMostAtOnce = 16 << 20;

 private:
  UsageWatch(scan::ContentDecoder decoder, UsageReader::Layout layout) : copy_(std::move(decoder)), reader_(layout) {}

  CodedCopy copy_;
  UsageReader reader_;
  uint64_t seen_ = 0;
  uint64_t begun_ = 0;  // the decoded bytes before those of the last bytes of the body
};

}  // namespace bottle::guard
