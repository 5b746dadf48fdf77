// Turns events into flags, and resumes the coroutines whose flags changed. A turn has four steps. It calls
// `after_turn`, waits for events once, sets the flags of every Source that has an event, and resumes the Wakers that
// are queued by then.
//
// A Source tries its system call first and is registered only when the call would block. A short connection therefore
// often costs no call to register it. With edge-triggered events, a Source must remember what is ready: it sets
// `ready.read` to false only when the kernel has said EAGAIN, or when a short read shows that the kernel would. If it
// did so too early, no event would ever come, and the connection would hang.
#include "guard/net/loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bottle::guard {

char scratch[kScratch];

namespace {

EventQueue* g_events = nullptr;  // there is only one loop, and a Source needs nothing else of it

// Holds the bytes that were read ahead for one Source. All Sources share one buffer, because a Source usually takes
// everything before another one reads. If it does not, the rest moves to its own memory.
struct Ahead {
  Source* of = nullptr;
  size_t at = 0, end = 0;
  char bytes[Source::kAhead];
} g_ahead;

#ifdef MSG_MORE
constexpr int kMoreFollows = MSG_MORE;
#else
constexpr int kMoreFollows = 0;  // the kernel then decides by itself when a packet is full
#endif

}  // namespace

Waker::~Waker() {
  if (armed_) loop_.timers_.erase(timer_);
  // The loop may be iterating over the queue, so the entry becomes null and is not removed.
  if (queued_) std::ranges::replace(loop_.ready_, this, nullptr);
}

void Waker::wake() {
  signal_ = Signal::event;
  if (queued_) return;
  queued_ = true;
  loop_.ready_.push_back(this);
}

Waker::Wait Waker::wait(int64_t deadline) {
  deadline_ = deadline;
  // If the timer fires too early, it is armed again then. So moving the deadline costs a busy connection nothing.
  if (!armed_ || timer_->first > deadline) {
    if (armed_) loop_.timers_.erase(timer_);
    timer_ = loop_.timers_.emplace(deadline, this);
    armed_ = true;
  }
  return {*this};
}

bool Waker::Wait::await_resume() { return std::exchange(waker.signal_, Signal::none) == Signal::event; }

void Source::open(int fd, Waker* waker, Readiness known) {
  close();
  fd_.reset(fd);
  waker_ = waker;
  ready = known;
  peer = Peer::sending;
  cut = false;
}

void Source::open(std::unique_ptr<Port> port, Waker* waker) {
  open(-1, waker);
  port_ = std::move(port);
}

void Source::push() {
  // Setting TCP_NODELAY sends what MSG_MORE has held back, even if the option was set before (tcp(7)).
  int one = 1;
  if (fd_) setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void Source::shut() {
  if (port_) port_->shut();
  else ::shutdown(fd_.get(), SHUT_WR);
}

void Source::wake() {
  if (waker_) waker_->wake();
}

void Source::watch() {
  if (watched_ || !fd_) return;
  // Callbacks get level-triggered events: a listener may leave clients in its queue for a later turn.
  if (on_event) g_events->watch(fd_.get(), this, EventQueue::kIn);
  else g_events->watch_edges(fd_.get(), this, &ready.read, &ready.write);
  watched_ = true;
}

void Source::close() {
  if (watched_ && g_events) g_events->closing(fd_.get());
  fd_.reset();
  port_.reset();
  watched_ = false;
  // This frees the memory, which clear() would keep for as long as an idle connection lives.
  std::string().swap(unread_);
  unread_at_ = 0;
  if (g_ahead.of == this) g_ahead.of = nullptr;
}

void Source::reset_on_close() {
  linger at_once{1, 0};
  if (fd_) setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void Source::unread(std::string bytes) {
  unread_.replace(0, unread_at_, bytes);
  unread_at_ = 0;
}

size_t Source::ahead() const {
  return unread_.size() - unread_at_ + (g_ahead.of == this ? g_ahead.end - g_ahead.at : 0);
}

// Bytes that were given back come first, then those that were read ahead into the buffer that all sources share.
size_t Source::take_ahead(void* buffer, size_t size) {
  if (unread_at_ < unread_.size()) {
    size_t n = unread_.copy(static_cast<char*>(buffer), size, unread_at_);
    unread_at_ += n;
    if (unread_at_ == unread_.size()) {
      std::string().swap(unread_);
      unread_at_ = 0;
    }
    return n;
  }
  if (g_ahead.of != this) return 0;
  size_t n = std::min(size, g_ahead.end - g_ahead.at);
  std::memcpy(buffer, g_ahead.bytes + g_ahead.at, n);
  g_ahead.at += n;
  if (g_ahead.at == g_ahead.end) g_ahead.of = nullptr;
  return n;
}

// Moves the bytes in the shared buffer to memory of this Source.
void Source::keep_ahead() {
  unread_.append(g_ahead.bytes + g_ahead.at, g_ahead.end - g_ahead.at);
  g_ahead.of = nullptr;
}

ssize_t Source::recv_ahead(void* buffer, size_t size) {
  if (size_t n = take_ahead(buffer, size)) return static_cast<ssize_t>(n);
  // A large read gains nothing from the shared buffer, which would only cost another copy.
  if (!ready.read || size >= kAhead) return recv(buffer, size);
  // Another Source has not taken all of its bytes yet. They move out, because this one needs the buffer.
  if (g_ahead.of) g_ahead.of->keep_ahead();
  ssize_t n = recv(g_ahead.bytes, kAhead);
  if (n <= 0) return n;
  g_ahead.of = this;
  g_ahead.at = 0;
  g_ahead.end = static_cast<size_t>(n);
  return static_cast<ssize_t>(take_ahead(buffer, size));
}

ssize_t Source::recv(void* buffer, size_t size) {
  if (size_t n = take_ahead(buffer, size)) return static_cast<ssize_t>(n);
  if (!ready.read) {
    errno = EAGAIN;
    return -1;
  }
  ssize_t n;
  if (port_) {
    n = port_->recv(buffer, size);
    if (n < 0 && errno == EAGAIN) ready.read = false;
    return n;
  }
  do n = ::recv(fd_.get(), buffer, size, 0);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) ready.read = false;
  // According to epoll(7), a short read has drained the socket, and later bytes cause a new edge. A FIN that was
  // already reported causes none.
  else if (n > 0 && static_cast<size_t>(n) < size && !has_ended()) ready.read = false;
  return n;
}

ssize_t Source::send(const void* bytes, size_t size) {
  if (!ready.write) {
    errno = EAGAIN;
    return -1;
  }
  ssize_t n;
  int flags = MSG_NOSIGNAL | (more_follows ? kMoreFollows : 0);
  do n = port_ ? port_->send(bytes, size) : ::send(fd_.get(), bytes, size, flags);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) {
    ready.write = false;
  } else if (n < 0) {
    // The peer may have sent bytes before it closed. A read returns these, and then the error.
    cut = ready.read = true;
  }
  return n;
}

Loop::Loop() {
  g_events = &events_;
  tick();
}

Loop::~Loop() { g_events = nullptr; }

void Loop::tick() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  now_ = t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void Loop::fire_timers() {
  while (!timers_.empty() && timers_.begin()->first <= now_) {
    Waker* waker = timers_.begin()->second;
    // A Waker without a timer gets one from its next wait.
    timers_.erase(timers_.begin());
    waker->armed_ = false;
    // wait() does not move a timer when the deadline becomes later, so this timer may be too early.
    if (waker->deadline_ > now_) {
      waker->timer_ = timers_.emplace(waker->deadline_, waker);
      waker->armed_ = true;
    } else if (waker->waiting_ && !waker->queued_) {
      if (waker->signal_ == Waker::Signal::none) waker->signal_ = Waker::Signal::deadline;
      waker->queued_ = true;
      ready_.push_back(waker);
    }
  }
}

void Loop::run(const std::function<int()>& after_turn) {
  constexpr uint32_t kIn = EventQueue::kIn, kOut = EventQueue::kOut, kError = EventQueue::kError,
                     kHangUp = EventQueue::kHangUp, kPeerEnded = EventQueue::kPeerEnded;
  while (!stopped_) {
    int timeout = after_turn();
    if (stopped_) return;
    if (!timers_.empty()) {
      // An hour is enough: the turn that follows computes the time again, and a long deadline would not fit into an
      // int.
      int64_t left = std::clamp<int64_t>(timers_.begin()->first - now_, 0, 3600 * 1000);
      if (timeout < 0 || left < timeout) timeout = static_cast<int>(left);
    }
    // A coroutine that woke itself in the last turn still waits, so this turn only looks for events.
    if (!ready_.empty()) timeout = 0;
    auto events = events_.wait(timeout);
    tick();
    for (auto [what, bits] : events) {
      auto* source = static_cast<Source*>(what);
      if (source->on_event) {
        // This runs within the batch and not as a coroutine, so it must not destroy a Source, because a later event
        // of the batch may refer to it.
        source->on_event(bits);
        continue;
      }
      // After an error or the end, both calls are worth trying, because only they return the error or the last bytes.
      if (bits & (kIn | kPeerEnded | kHangUp | kError)) source->ready.read = true;
      if (bits & (kOut | kHangUp | kError)) source->ready.write = true;
      if (bits & (kHangUp | kError)) source->peer = Source::Peer::gone;
      else if ((bits & kPeerEnded) && !source->has_ended()) source->peer = Source::Peer::ended;
      if (source->waker_) source->waker_->wake();
    }
    fire_timers();
    // Handles only the wakers that are ready now. A coroutine that wakes itself waits behind the others for its next
    // turn.
    for (size_t i = 0, end = ready_.size(); i < end; ++i) {
      Waker* waker = ready_[i];
      // A coroutine of this turn destroyed the Waker while it was queued.
      if (!waker) continue;
      ready_[i] = nullptr;
      waker->queued_ = false;
      // The handle is cleared before the call, because the coroutine may wait again, or destroy the Waker.
      if (waker->waiting_ && waker->signal_ != Waker::Signal::none) std::exchange(waker->waiting_, nullptr).resume();
    }
    std::erase(ready_, nullptr);
  }
}

}  // namespace bottle::guard
