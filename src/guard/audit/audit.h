// Writes audit lines, with one JSON object per line. Lines are buffered, and the loop writes them. They contain no
// secret.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "guard/audit/audit_line.h"
#include "guard/audit/repeats.h"
#include "guard/net/loop.h"

namespace bottle::guard {

// Holds the pipe or file of the record, and the lines that are not written yet. Call everything on the loop's thread.
// Only drain() blocks.
class Audit {
 public:
  // Borrows `fd`; -1 discards all lines. Makes a pipe or a socket non-blocking, and leaves a file as it is.
  void open(int fd);
  // Records a decision. A line about a refusal may be counted instead of written (Repeats).
  void write(const AuditLine& line);
  void raw(std::string_view line);  // writes a whole JSON line of the control channel, in order with the others

  // Writes as much as possible. Returns after how many milliseconds to call it again, or -1 for never.
  int flush(int64_t now);
  // Returns whether the reader does not keep up. The guard then takes no new work, so that no decision goes unrecorded.
  bool congested() const { return pending_.size() > kBacklog; }
  // Returns why nothing can be written now, such as a full disk or a missing reader. Returns an empty string if writing
  // works.
  const std::string& stuck() const { return stuck_; }
  // mark() returns the position after all lines so far. reached() says whether the kernel has all bytes before that
  // position, so that they outlive this process.
  uint64_t mark() const { return given_; }
  bool reached(uint64_t mark) const { return written_ >= mark; }
  // Blocks until everything is written, at most 1 s.
  void drain();

  // Wakes `waker` whenever something was written or could not be written.
  class Watcher {
   public:
    Watcher(Audit& audit, Waker& waker) : audit_(audit), waker_(waker) { audit_.watchers_.insert(&waker_); }
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher() { audit_.watchers_.erase(&waker_); }

   private:
    Audit& audit_;
    Waker& waker_;
  };

 private:
  static constexpr size_t kBacklog = 1 << 20;
  void timestamp();
  void append(const AuditLine& line);
  bool write_out();

  int fd_ = -1;
  std::string pending_;
  uint64_t given_ = 0, written_ = 0;  // in bytes
  std::string stuck_;
  int64_t since_ = 0, retry_at_ = 0;
  bool urgent_ = false;
  int64_t stamp_second_ = -1;
  char stamp_[32];
  Repeats repeats_;
  std::set<Waker*> watchers_;
};

// Appends `text` as the inside of a JSON string. Bytes that are not ASCII become \u00xx.
void append_json(std::string& out, std::string_view text);

}  // namespace bottle::guard
