// Reports events on descriptors to the guard's event loop, with epoll(7) on Linux and poll(2) on other systems.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace bottle {

// Belongs to one thread. Descriptors are registered once and stay registered, because the guard has thousands of
// them. No function reports an error: a descriptor that cannot be registered never has an event.
class EventQueue {
 public:
  // The bits of an event. kPeerEnded means that the peer sends nothing more, and kHangUp that the connection is closed
  // in both directions.
  static constexpr uint32_t kIn = 1, kOut = 4, kError = 8, kHangUp = 16, kPeerEnded = 0x2000;
  // Tells what happened to one descriptor: the `what` of its registration, and the bits that are set.
  struct Event {
    void* what;
    uint32_t bits;
  };

  EventQueue();
  ~EventQueue();

  // Reports each change once, with `what` in the event. The owner sets `readable` and `writable` to true after an
  // event, and to false after a call that failed with EAGAIN. On a system without edge-triggered events, wait() polls
  // only for the direction that is false. Both pointers must stay valid until forget() or closing().
  void watch_edges(int fd, void* what, const bool* readable, const bool* writable);

  // Reports kIn and kOut for as long as they hold. A second call changes which of them are reported.
  void watch(int fd, void* what, uint32_t bits);

  // Stops reporting events of `fd`, which stays open. Events that wait() has already returned are still in its result.
  void forget(int fd);
  // Call this instead of forget() right before a watched descriptor is closed. On Linux, it costs nothing.
  void closing(int fd);

  // Blocks until something happens, for at most `timeout_ms` (-1 means no limit). The result is valid until the next
  // call.
  std::span<const Event> wait(int timeout_ms);

 private:
  struct Kernel;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace bottle
