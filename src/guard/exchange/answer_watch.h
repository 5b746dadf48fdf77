// Looks for prompt injections in one answer as it streams by. It changes nothing in the answer.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "http/head.h"
#include "scan/content/content_decoder.h"
#include "scan/injection/injection.h"

namespace bottle::guard {

// Owned by the exchange of the answer. feed() must get every byte of the body in order.
class AnswerWatch {
 public:
  // Returns whether the answer is text that an agent may read.
  static bool watches(const http::Head& head);
  // Returns nothing if the answer has a coding that cannot be removed. `decoded` says that feed() gets the body without
  // its codings. `blocks` says that a finding stops the answer, so that each piece is searched before it passes.
  static std::optional<AnswerWatch> make(const http::Head& head, bool decoded, bool blocks);
  // Watches the messages of a WebSocket connection, which are searched one by one.
  explicit AnswerWatch(bool blocks)
      : AnswerWatch(*scan::ContentDecoder::make(""), blocks, scan::InjectionScan::Looks::at_each_piece) {
    most_ = UINT64_MAX;
  }

  // Takes the next bytes of the body. Stops searching after kMost decoded bytes. Returns false if the bytes do not
  // match the codings, or if `blocks` is set and the bytes of one call decode to kMostAtOnce bytes or more, because
  // other connections wait meanwhile.
  bool feed(std::string_view bytes);
  // Returns whether all of the body could be read.
  bool end() {
    scan_.end();
    return seen_ >= most_ || decoder_.complete();
  }
  // Judges what has arrived so far as if nothing followed, because the answer pauses or a message ends.
  void settle() { scan_.settle(); }
  // Returns whether the answer ends with what may be an injection, so that the last piece must not pass yet.
  bool undecided() const { return blocks_ && scan_.undecided(); }
  bool blocks() const { return blocks_; }

  // Returns approximately how many bytes this object holds.
  size_t memory() const { return scan_.memory() + decoder_.memory(); }

  // Returns the findings that were not returned before.
  std::vector<scan::Injection> news();

  static constexpr uint64_t kMost = 64 << 20, kMostAtOnce = 16 << 20;

 private:
  AnswerWatch(scan::ContentDecoder decoder, bool blocks, scan::InjectionScan::Looks looks)
      : scan_(looks), decoder_(std::move(decoder)), blocks_(blocks) {}

  scan::InjectionScan scan_;
  scan::ContentDecoder decoder_;
  bool blocks_;
  uint64_t seen_ = 0, most_ = kMost;
  size_t told_ = 0;
};

}  // namespace bottle::guard
