// Tells the guard's event loop about its descriptors: epoll(7), or poll(2) on other systems.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace bottle {

class EventQueue {
 public:
  // Bits of an event. kPeerEnded: the peer sends no more. kHangUp: the connection is gone in both directions.
  static constexpr uint32_t kIn = 1, kOut = 4, kError = 8, kHangUp = 16, kPeerEnded = 0x2000;
  struct Event {
    void* what;
    uint32_t bits;
  };

  EventQueue();
  ~EventQueue();

  // Reports each change once. `what` comes back with the events. The owner keeps `readable` and `writable`: true after
  // an event, false after a call that failed with EAGAIN. A system without edges asks only for what is false. They must
  // stay valid until forget() or closing().
  void watch_edges(int fd, void* what, const bool* readable, const bool* writable);

  // Reports kIn and kOut as long as they last. A second call changes what is waited for.
  void watch(int fd, void* what, uint32_t bits);

  void forget(int fd);
  // Must be called instead of forget() right before a watched descriptor is closed. On Linux it costs nothing.
  void closing(int fd);

  // Blocks until something happens, at most `timeout_ms` (-1: no limit). Valid until the next call.
  std::span<const Event> wait(int timeout_ms);

 private:
  struct Kernel;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace bottle
