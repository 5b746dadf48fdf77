// Wraps poll(2). Its cost grows with the number of descriptors, but the callers have few, and they need not register
// and forget them. If a caller waits for the end of a process that has no descriptor, the wait is cut into short
// intervals.

#include "base/os/poller.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace bottle {
namespace {

// The intervals, in milliseconds, for checking whether a process has exited. If the caller waits only for the process,
// its output has often ended already, so the check comes sooner.
constexpr int kLookAgain = 20, kLookAgainAlone = 2;

Deadline after(int timeout_ms) { return timeout_ms < 0 ? Deadline::never() : Deadline::in_ms(timeout_ms); }

// Waits for one descriptor. A signal does not end the wait early.
bool wait_for(int fd, short events, Deadline deadline) {
  for (pollfd p{fd, events, 0};;) {
    int ready = ::poll(&p, 1, deadline.ms_left());
    if (ready >= 0) return ready > 0;
    if (errno != EINTR && errno != EAGAIN) return true;  // the caller's read reports the error
  }
}

}  // namespace

Poller::Poller() = default;
Poller::~Poller() = default;

// A linear search is enough for a few descriptors. -1 is never in the list.
const pollfd* Poller::find(int fd) const {
  auto found = std::ranges::find(fds_, fd, &pollfd::fd);
  return fd < 0 || found == fds_.end() ? nullptr : &*found;
}

void Poller::add(int fd, short events) {
  if (fd < 0) return;
  auto known = std::ranges::find(fds_, fd, &pollfd::fd);
  // Two entries for one descriptor would hide the second one from find().
  if (known != fds_.end()) known->events |= events;
  else fds_.push_back({fd, events, 0});
}

void Poller::watch(int fd, bool write) { add(fd, static_cast<short>(write ? POLLIN | POLLOUT : POLLIN)); }
void Poller::watch_writable(int fd) { add(fd, POLLOUT); }

void Poller::watch_exit(int exit_fd) {
  if (exit_fd < 0) is_blind_ = true;
  add(exit_fd, POLLIN);
}

bool Poller::wait(int timeout_ms) {
  // The caller looks at the process after each wait, so a short wait is all that is needed.
  if (int look = fds_.empty() ? kLookAgainAlone : kLookAgain; is_blind_)
    timeout_ms = timeout_ms < 0 ? look : std::min(timeout_ms, look);
  // If poll(2) fails, it sets nothing, and the results of an earlier wait must not count again.
  for (auto& each : fds_) each.revents = 0;
  int ready;
  // With a timeout, a signal ends the wait, so that a caller whose handler sets a flag can look at the flag.
  do ready = ::poll(fds_.data(), static_cast<nfds_t>(fds_.size()), timeout_ms);
  while (ready < 0 && timeout_ms == 0 && errno == EINTR);  // a caller that does not wait needs an answer
  return ready > 0;
}

bool Poller::readable(int fd) const {
  const pollfd* found = find(fd);
  // POLLHUP, POLLERR and POLLNVAL count as readable, because the read then returns the end or the error.
  return found && (found->revents & ~POLLOUT);
}

bool Poller::writable(int fd) const {
  const pollfd* found = find(fd);
  // A write after the peer has closed returns the error immediately, so it does not block either.
  return found && (found->revents & (POLLOUT | POLLERR | POLLHUP));
}

bool wait_readable(int fd, int timeout_ms) { return wait_for(fd, POLLIN, after(timeout_ms)); }
bool wait_writable(int fd, int timeout_ms) { return wait_for(fd, POLLOUT, after(timeout_ms)); }

bool wait_readable(int fd, Deadline deadline) { return !deadline.is_over() && wait_for(fd, POLLIN, deadline); }
bool wait_writable(int fd, Deadline deadline) { return !deadline.is_over() && wait_for(fd, POLLOUT, deadline); }

bool is_hung_up(int fd) {
  // poll(2) reports POLLHUP and POLLERR even if no events are requested, so unread data does not matter.
  pollfd p{fd, 0, 0};
  return ::poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

}  // namespace bottle
