// poll(2) reports states, not changes. To turn states into changes, the queue polls a direction only while it counts
// as not ready: once it was ready, the queue polls it again only after a call on it has failed with EAGAIN. Each wait
// builds the list of descriptors again, so its cost grows with their number. epoll(7) on Linux avoids that.

#include "base/os/event_queue.h"

#include <poll.h>
#include <sys/socket.h>

#include <map>
#include <vector>

namespace bottle {

struct EventQueue::Kernel {
  struct Watched {
    void* what = nullptr;
    uint32_t bits = 0;
    const bool *readable = nullptr, *writable = nullptr;  // null if `bits` applies instead
    bool hung_up = false;                                 // already reported; poll(2) would report it forever

    short wanted() const {
      // The owner keeps these two flags current, so this reads their values at the moment of the wait.
      bool in = readable ? !*readable : bits & kIn, out = writable ? !*writable : bits & kOut;
      return static_cast<short>((in ? POLLIN : 0) | (out ? POLLOUT : 0));
    }
  };
  std::map<int, Watched> watched;
  std::vector<pollfd> fds;
  std::vector<Event> events;
};

EventQueue::EventQueue() : kernel_(new Kernel) {}
EventQueue::~EventQueue() = default;

void EventQueue::watch_edges(int fd, void* what, const bool* readable, const bool* writable) {
  kernel_->watched[fd] = {what, 0, readable, writable};
}

void EventQueue::watch(int fd, void* what, uint32_t bits) { kernel_->watched[fd] = {what, bits}; }
void EventQueue::forget(int fd) { kernel_->watched.erase(fd); }
void EventQueue::closing(int fd) { forget(fd); }

std::span<const EventQueue::Event> EventQueue::wait(int timeout_ms) {
  auto& [watched, fds, events] = *kernel_;
  fds.clear();
  events.clear();
  for (const auto& [fd, each] : watched)
    // A descriptor that is ready in both directions is still polled for its end, but only until that has been
    // reported. After that, poll(2) would return immediately each time, and the loop would spin.
    if (short wanted = each.wanted(); wanted || (each.readable && !each.hung_up)) fds.push_back({fd, wanted, 0});
  if (::poll(fds.data(), static_cast<nfds_t>(fds.size()), timeout_ms) <= 0) return {};
  for (const auto& p : fds) {
    if (!p.revents) continue;
    // An event that the caller is handling may forget other descriptors, but not during this loop.
    auto& each = watched[p.fd];
    uint32_t bits = 0;
    if (p.revents & POLLIN) bits |= kIn;
    if (p.revents & POLLOUT) bits |= kOut;
    if (p.revents & POLLHUP) bits |= kHangUp;
    if (p.revents & (POLLERR | POLLNVAL)) bits |= kError;
    // POSIX has no POLLRDHUP. Peeking finds out the same: it returns the end instead of a byte.
    char byte;
    if (each.readable && (bits & kIn) && ::recv(p.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) bits |= kPeerEnded;
    if (bits & (kHangUp | kError)) each.hung_up = true;
    events.push_back({each.what, bits});
  }
  return events;
}

}  // namespace bottle
