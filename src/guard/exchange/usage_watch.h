// Reads the tokens that an answer of a model cost, as the answer streams by. It changes nothing in the
// answer.
#pragma once

#include <optional>
#include <string_view>

#include "guard/budget/token_usage.h"
#include "http/head.h"
#include "scan/content/content_decoder.h"

namespace bottle::guard {

// Owned by the exchange of the answer. Unlike AnswerWatch, it never stops an answer: tokens that cannot be read are not
// counted.
class UsageWatch {
 public:
  // Returns nothing if the answer has a coding that cannot be removed. `decoded` says that feed() gets the body without
  // its codings.
  static std::optional<UsageWatch> make(const http::Head& head, bool decoded);
  // Watches one message of a WebSocket connection.
  UsageWatch() : UsageWatch(*scan::ContentDecoder::make(""), UsageReader::Layout::json) {}

  // Takes the next bytes of the body. Reads no more after kMost decoded bytes, or if the bytes do not match the
  // codings. The same applies if the bytes of one call decode to kMostAtOnce bytes or more, because other connections
  // wait meanwhile.
  void feed(std::string_view bytes);
  const UsageReader& reader() const { return reader_; }
  // Returns approximately how many bytes this object holds.
  size_t memory() const { return decoder_.memory(); }

  static constexpr uint64_t kMost = 256 << 20, kMostAtOnce = 16 << 20;

 private:
  UsageWatch(scan::ContentDecoder decoder, UsageReader::Layout layout)
      : decoder_(std::move(decoder)), reader_(layout) {}

  scan::ContentDecoder decoder_;
  UsageReader reader_;
  uint64_t seen_ = 0;
};

}  // namespace bottle::guard
