// Implements the reactor, with one thread, edge-triggered events, and coroutines that each wait on one Waker.
//
// A connection has one Waker. Every descriptor that it owns is a Source that points to the Waker. An event on any of
// them only sets flags and queues the Waker. The coroutine then tries everything that it has to do, and waits again.
// There is therefore nothing to cancel, and no event can reach a Source that was destroyed in the same turn: the flags
// are set for a whole batch before any coroutine runs.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/os/event_queue.h"
#include "base/unique_fd.h"

namespace bottle::guard {

class Loop;

// A coroutine waits on a Waker for events. At most one coroutine may wait at a time. An event that comes while none
// waits is kept.
class Waker {
 public:
  explicit Waker(Loop& loop) : loop_(loop) {}
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;
  ~Waker();

  // Resumes the waiting coroutine later in this turn. If no coroutine is waiting, the next wait returns immediately.
  void wake();

  // The awaitable of wait(). `co_await` returns true after an event, and false after the deadline.
  struct Wait {
    Waker& waker;
    // Always suspends, so that other coroutines get their turn. If the Waker was signaled in the meantime, it is
    // already queued.
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> handle) { waker.waiting_ = handle; }
    // Returns false if the deadline passed without an event.
    bool await_resume();
  };
  // Waits for an event, or until `deadline` (in milliseconds of Loop::now()).
  Wait wait(int64_t deadline);
  Loop& loop() const { return loop_; }

 private:
  friend class Loop;
  using Timers = std::multimap<int64_t, Waker*>;
  Loop& loop_;
  std::coroutine_handle<> waiting_;
  int64_t deadline_ = 0;
  Timers::iterator timer_;
  bool armed_ = false, queued_ = false;
  enum class Signal : uint8_t { none, deadline, event } signal_ = Signal::none;  // an event replaces a deadline
};

// Stands for a connection without a descriptor, such as a stream of an HTTP/2 connection. Its owner sets `ready` and
// `peer` of the Source and then wakes the Source's Waker.
class Port {
 public:
  Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  virtual ~Port() = default;
  // These functions behave like the system calls for a non-blocking socket, and set errno as those do.
  virtual ssize_t recv(void* buffer, size_t size) = 0;
  virtual ssize_t send(const void* bytes, size_t size) = 0;
  virtual void shut() = 0;                               // sends no more
  virtual std::string_view fault() const { return {}; }  // what was wrong with the peer's bytes
  virtual std::string_view why() const { return {}; }    // what TLS says about the end of the connection, if anything
  virtual bool refused() const { return false; }  // whether the peer says that it has processed nothing of the request
};

// Says what can probably be done without waiting. A call that would have to wait corrects it, and an event sets it
// again.
struct Readiness {
  bool read = false, write = false;
};

// Stands for a descriptor in the reactor, or for a Port. It cannot be moved, because the queue of events holds its
// address.
class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() { close(); }

  // Takes ownership of the descriptor. The descriptor is registered only when something first has to wait for it.
  void open(int fd, Waker* waker, Readiness ready = {.read = true, .write = true});
  void open(std::unique_ptr<Port> port, Waker* waker);
  // Registers the descriptor in the loop's queue of events, once. Call this before waiting; events that came earlier
  // are reported then. Does nothing for a Port, whose owner wakes the Waker.
  void watch();
  // Closes the descriptor or destroys the Port, and drops all bytes that were read ahead. Does nothing if it is closed.
  void close();
  // Makes close() reset the connection: the peer sees an error, and the kernel drops what it still holds. Does nothing
  // for a Port.
  void reset_on_close();
  int fd() const { return fd_.get(); }
  explicit operator bool() const { return static_cast<bool>(fd_) || port_; }
  // Tells the peer that nothing more will be sent.
  void shut();
  // Makes later events wake this Waker, or none if it is null.
  void move_to(Waker* waker) { waker_ = waker; }
  // Wakes the Waker, as an event does.
  void wake();
  // Return what the Port reports about its peer. For a descriptor, the texts are empty and `refused` is false.
  std::string_view fault() const { return port_ ? port_->fault() : std::string_view(); }
  std::string_view why() const { return port_ ? port_->why() : std::string_view(); }
  bool refused() const { return port_ && port_->refused(); }
  // Returns whether refused() can ever be true.
  bool may_refuse() const { return port_ != nullptr; }

  // Neither call blocks. They return -1 with EAGAIN if they would block, without a system call if that is already
  // known.
  ssize_t recv(void* buffer, size_t size);
  ssize_t send(const void* bytes, size_t size);
  // Puts back bytes that were read too early. The next recv() returns them first.
  void unread(std::string bytes);
  // Does the work of recv(), but takes up to kAhead bytes from the kernel in one call. The rest waits for the next
  // call.
  ssize_t recv_ahead(void* buffer, size_t size);
  static constexpr size_t kAhead = 64 * 1024;
  // Returns how many bytes were read from the kernel and wait for the next call.
  size_t ahead() const;
  // Returns whether a read may return something.
  bool may_read() const { return ready.read || ahead() > 0; }

  Readiness ready;
  // Says what the peer still does. The state changes only downward in this list. When the peer no longer sends, keep
  // reading to the end, because the bytes that it sent before still count.
  enum class Peer : uint8_t {
    sending,
    ended,  // it finished sending
    gone,   // the connection is gone in both directions, or has an error
  } peer = Peer::sending;
  // Return whether the peer sends nothing more, and whether it does not receive either. The queue of events must have
  // reported it, so both are false before watch().
  bool has_ended() const { return peer != Peer::sending; }
  bool is_gone() const { return peer == Peer::gone; }
  bool cut = false;  // a send failed: the peer takes no more, but what it sent before can still be read

  // Bounds how often TLS may read from the kernel. TLS handles some messages itself, such as new keys, and returns
  // nothing for them to the caller. Without the bound, a peer that sends them without a pause would keep a single
  // call busy.
  struct TlsReads {
    int left = -1;         // how many more times; -1 for any number
    bool stopped = false;  // TLS would have needed one more
  } tls_reads;

  // True if more bytes follow directly after the next ones, so that the kernel may wait for them to fill a packet. It
  // waits for up to 200 ms, unless push() or a later send() ends that.
  bool more_follows = false;
  void push();

  // The callback for service descriptors (listeners and the resolver). It runs in the dispatch phase and must not
  // destroy a Source.
  std::function<void(uint32_t events)> on_event;

 private:
  friend class Loop;
  size_t take_ahead(void* buffer, size_t size);
  void keep_ahead();

  UniqueFd fd_;
  std::unique_ptr<Port> port_;
  Waker* waker_ = nullptr;
  bool watched_ = false;
  std::string unread_;
  size_t unread_at_ = 0;  // the number of its bytes that were taken
};

// Runs the reactor of the process. There may be only one Loop, and everything that uses it runs on its thread.
class Loop {
 public:
  Loop();
  ~Loop();
  // Runs until stop(). Calls `after_turn` once per turn; it returns the longest time to sleep in milliseconds (-1: no
  // limit).
  void run(const std::function<int()>& after_turn);
  void stop() { stopped_ = true; }
  int64_t now() const { return now_; }  // monotonic milliseconds, updated once per turn
  // Returns the queue, for descriptors that others own or that need level-triggered events.
  EventQueue& events() { return events_; }

 private:
  friend class Waker;
  void tick();
  void fire_timers();

  EventQueue events_;
  int64_t now_ = 0;
  bool stopped_ = false;
  std::vector<Waker*> ready_;
  Waker::Timers timers_;
};

// A buffer that the whole thread shares. Its contents are valid until the next await.
inline constexpr size_t kScratch = 64 * 1024;
extern char scratch[kScratch];

}  // namespace bottle::guard
