// The decisions of a session on the operator's disk, one JSON object a line. The agent causes as many as it likes, so
// the file is bounded; but what was let through is never missing from it. So that part has most of the room, refusals
// cannot use it up, and the guard is to let nothing more through as long as full() says so.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.h"
#include "wire/decision.h"

namespace bottle::session {

class AuditFile {
 public:
  static constexpr uint64_t kMost = 256u << 20;  // bytes; what is fetched from another machine has the same limit

  // Appends. Of `most` bytes three quarters are for what was let through.
  explicit AuditFile(const std::string& path, uint64_t most = kMost);
  // Blocks as long as the disk takes. What it does not take is kept in memory and written later, but for refusals,
  // which are counted. Where refusals have no room any more, one line says so and is their last.
  void add(const wire::Decision& decision);
  // Tries again to write what is kept. To be called from time to time while full().
  void retry();

  // Why nothing more may be let through, for the operator. Empty: it can be recorded. True early enough for what is
  // under way meanwhile.
  std::string full() const;
  // Bytes that wait for the disk. Beyond kMostKept nothing more is to be taken from the guard.
  size_t kept() const { return kept_.size(); }
  static constexpr size_t kMostKept = 4 << 20;

 private:
  bool put(const std::string& text);
  void add_refusal(const wire::Decision& decision, const std::string& text);

  std::string path_;
  UniqueFd fd_;
  uint64_t size_ = 0;  // of whole lines
  uint64_t left_traffic_ = 0, left_refusals_ = 0;
  uint64_t reserve_ = 0;  // of left_traffic_, for what is under way when the rest is used up
  bool refusals_full_ = false, traffic_full_ = false;
  std::string kept_;
  uint64_t uncounted_ = 0;  // refusals that no line stands for yet
  std::string trouble_;     // of the disk
};

// What stands in the record for a guard's line that is not a decision of ours, which may have let something through.
wire::Decision unreadable(const Error& why);

}  // namespace bottle::session
