// Looks for prompt injections in one answer as it streams by. Never changes the answer.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "guard/watch/coded_copy.h"
#include "http/head.h"
#include "scan/injection/injection.h"

namespace bottle::guard {

// Watches one answer. Its exchange owns it. feed() must get every byte of the body in order.
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

  // Takes the next bytes of the body, and searches a bounded part. Stops searching after kMost decoded bytes. Returns
  // false if the bytes do not match the codings, or if `blocks` is set and the bytes of one call decode to kMostAtOnce
  // bytes or more, which no page needs.
  bool feed(std::string_view bytes);
  // Returns whether more of the bytes so far must be searched. Then call feed() again, without bytes, before anything
  // else.
  bool behind() const { return seen_ < most_ && copy_.behind(); }
  // Searches the rest, because the body has ended. Returns false if the body's coding is incomplete.
  bool end() {
    scan_.end();
    return seen_ >= most_ || copy_.complete();
  }
  // Judges what has arrived so far as if nothing followed, because the answer pauses or a message ends.
  void settle() { scan_.settle(); }
  // Returns whether the text so far ends with a possible injection, so that the last piece must not pass yet.
  bool undecided() const { return blocks_ && scan_.undecided(); }
  bool blocks() const { return blocks_; }

  // Returns approximately how many bytes this object holds.
  size_t memory() const { return scan_.memory() + copy_.memory(); }

  // Returns the findings that were not returned before.
  std::vector<scan::Injection> news();

  static constexpr uint64_t kMost = 64 << 20, kMostAtOnce = 16 << 20;

 private:
  AnswerWatch(scan::ContentDecoder decoder, bool blocks, scan::InjectionScan::Looks looks)
      : scan_(looks), copy_(std::move(decoder)), blocks_(blocks) {}

  scan::InjectionScan scan_;
  CodedCopy copy_;
  bool blocks_;
  uint64_t seen_ = 0, most_ = kMost;
  uint64_t begun_ = 0;  // the decoded bytes before those of the last bytes of the body
  size_t told_ = 0;
};

}  // namespace bottle::guard
