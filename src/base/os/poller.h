// Waits for descriptors. Everything except the guard waits here; the guard's hot path has base/os/event_queue.h.
#pragma once

#include <cstddef>
#include <vector>

struct pollfd;

namespace bottle {

// Each turn of a loop names what it waits for, waits, and asks what happened:
//
//   Poller poller;
//   poller.watch(socket);
//   if (poller.wait(1000) && poller.readable(socket)) …
//
// Nothing stays registered, so that nothing can be called back for an object that is gone.
class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Waits until `fd` can be read, and also until it can be written if `write`. Ignores -1. A descriptor that is watched
  // again waits for both.
  void watch(int fd, bool write = false);
  void watch_writable(int fd);
  // Waits for the end of a process (Child::exit_fd). If the system has no such descriptor and it is -1, wait() returns
  // within 20 ms, so that the caller looks.
  void watch_exit(int exit_fd);

  // Blocks until something happens, at most `timeout_ms` (-1: no limit). Returns whether something happened. A signal
  // that interrupts the wait counts as nothing.
  bool wait(int timeout_ms);

  bool happened(int fd) const;  // anything at all
  bool readable(int fd) const;  // a read does not block: there are bytes, the end or an error
  bool writable(int fd) const;  // a write does not block, or fails

 private:
  pollfd* find(int fd) const;
  void add(int fd, short events);
  mutable std::vector<pollfd> fds_;
  bool is_blind_ = false;  // the end of a process has no descriptor
};

// Blocks until a read from `fd` does not block, at most `timeout_ms` (-1: no limit). Goes on after a signal. Returns
// false if the time is up.
bool wait_readable(int fd, int timeout_ms);
bool wait_writable(int fd, int timeout_ms);

// Reports whether the other side has closed its end. What it sent before may still be waiting to be read. Never blocks.
bool is_hung_up(int fd);

}  // namespace bottle
