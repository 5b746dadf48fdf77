// Waits for descriptors. Everything except the guard waits with this; the guard uses base/os/event_queue.h.
#pragma once

#include <cstddef>
#include <vector>

#include "base/os/deadline.h"

struct pollfd;

namespace bottle {

// Each turn of a loop adds what it waits for, waits, and asks what happened:
//
//   Poller poller;
//   poller.watch(socket);
//   if (poller.wait(1000) && poller.readable(socket)) …
//
// Nothing stays registered, so no event can refer to an object that no longer exists.
class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Watches whether `fd` is readable and, with `write`, also whether it is writable. Ignores -1. A second call for the
  // same descriptor adds to the first.
  void watch(int fd, bool write = false);
  void watch_writable(int fd);
  // Watches for the end of a process (Child::exit_fd). If the system has no such descriptor and it is -1, wait()
  // returns within 20 ms, so that the caller can check.
  void watch_exit(int exit_fd);

  // Blocks until something happens, for at most `timeout_ms` (-1 means no limit). Returns whether something happened. A
  // signal that interrupts the wait does not count.
  bool wait(int timeout_ms);

  bool readable(int fd) const;  // whether a read returns bytes, the end or an error without blocking
  bool writable(int fd) const;  // whether a write does not block, or fails

 private:
  const pollfd* find(int fd) const;
  void add(int fd, short events);
  std::vector<pollfd> fds_;
  bool is_blind_ = false;  // a watched process has no descriptor for its end
};

// Blocks until `fd` is readable, for at most `timeout_ms` (-1 means no limit). Continues after a signal. Returns false
// if the time is up.
bool wait_readable(int fd, int timeout_ms);
bool wait_writable(int fd, int timeout_ms);

// Block until `fd` is readable or writable, or until the deadline is over. Return false if it is over, even if `fd` is
// ready: a loop of waits then ends at its deadline even if the other side never pauses.
bool wait_readable(int fd, Deadline deadline);
bool wait_writable(int fd, Deadline deadline);

// Returns whether the other side has closed its end. Data that it sent before may still be unread. Never blocks.
bool is_hung_up(int fd);

}  // namespace bottle
