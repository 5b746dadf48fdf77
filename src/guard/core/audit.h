// Audit lines: one JSON object a line, buffered, written by the loop. Nothing in them is a secret.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "guard/core/audit_line.h"
#include "guard/core/loop.h"
#include "guard/core/repeats.h"

namespace bottle::guard {

class Audit {
 public:
  // `fd` is borrowed; -1 discards. A pipe or socket is made non-blocking, a file is left as it is.
  void open(int fd);
  // A line that lets nothing through may be counted instead of written (Repeats).
  void write(const AuditLine& line);
  void raw(std::string_view line);  // a whole JSON line of the control channel, in order with the others

  // Writes what can be written. Returns the milliseconds after which it wants to be called again, -1 for none.
  int flush(int64_t now);
  // The reader does not keep up: take no new work until it does, so that no decision goes unrecorded.
  bool congested() const { return pending_.size() > kBacklog; }
  // Why nothing can be written now: the disk is full, nobody reads. Empty: it can.
  const std::string& stuck() const { return stuck_; }
  // A place behind all lines so far, and whether they are with the kernel: then they outlive this process.
  uint64_t mark() const { return given_; }
  bool reached(uint64_t mark) const { return written_ >= mark; }
  // Blocks (1 s at most) until everything is out.
  void drain();

  // Wakes `waker` whenever something was written, or could not be.
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
  uint64_t given_ = 0, written_ = 0;  // bytes
  std::string stuck_;
  int64_t since_ = 0, retry_at_ = 0;
  bool urgent_ = false;
  int64_t stamp_second_ = -1;
  char stamp_[32];
  Repeats repeats_;
  std::set<Waker*> watchers_;
};

// Appends `text` as the inside of a JSON string; bytes that are not ASCII become \u00xx.
void append_json(std::string& out, std::string_view text);

}  // namespace bottle::guard
