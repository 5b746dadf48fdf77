// Implements the guard's event queue with epoll, whose registrations cost nothing while nothing happens. The bits of
// the interface are those of epoll, so no event needs to be translated.
#include "base/os/event_queue.h"

#include <sys/epoll.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace bottle {

static_assert(EventQueue::kIn == EPOLLIN && EventQueue::kOut == EPOLLOUT && EventQueue::kError == EPOLLERR);
static_assert(EventQueue::kHangUp == EPOLLHUP && EventQueue::kPeerEnded == EPOLLRDHUP);

// 256 events per call are enough to make the call's cost small. Those that do not fit come with the next call.
struct EventQueue::Kernel {
  static constexpr int kMost = 256;
  UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  epoll_event told[kMost];
  Event events[kMost];
};

EventQueue::EventQueue() : kernel_(new Kernel) {}
EventQueue::~EventQueue() = default;

void EventQueue::watch_edges(int fd, void* what, const bool*, const bool*) {
  // Both directions are registered once. With edge-triggered events, a direction that is not needed costs only a
  // single event.
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = what}};
  ::epoll_ctl(kernel_->epoll.get(), EPOLL_CTL_ADD, fd, &event);
}

void EventQueue::watch(int fd, void* what, uint32_t bits) {
  epoll_event event{.events = bits, .data = {.ptr = what}};
  // Most calls change a registration that exists, so that is tried first.
  if (::epoll_ctl(kernel_->epoll.get(), EPOLL_CTL_MOD, fd, &event) != 0 && errno == ENOENT)
    ::epoll_ctl(kernel_->epoll.get(), EPOLL_CTL_ADD, fd, &event);
}

void EventQueue::forget(int fd) { ::epoll_ctl(kernel_->epoll.get(), EPOLL_CTL_DEL, fd, nullptr); }

void EventQueue::closing(int) {}  // the kernel forgets a closed descriptor

std::span<const EventQueue::Event> EventQueue::wait(int timeout_ms) {
  int count = ::epoll_wait(kernel_->epoll.get(), kernel_->told, Kernel::kMost, timeout_ms);
  // epoll_event is packed on some processors, so it is copied into our own struct.
  for (int i = 0; i < count; ++i) kernel_->events[i] = {kernel_->told[i].data.ptr, kernel_->told[i].events};
  return {kernel_->events, static_cast<size_t>(count > 0 ? count : 0)};
}

}  // namespace bottle
