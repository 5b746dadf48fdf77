#include "guard/net/loop.h"

#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bottle::guard {

char scratch[kScratch];

namespace {
EventQueue* g_events = nullptr;  // there is only one loop, and a Source needs nothing else of it
}

Waker::~Waker() {
  if (armed_) loop_.timers_.erase(timer_);
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
  // If the timer fires too early, it is armed again at that time. So a busy connection pays nothing for moving its
  // deadline.
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
  unread_.clear();
}

void Source::open(std::unique_ptr<Port> port, Waker* waker) {
  open(-1, waker);
  port_ = std::move(port);
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
  if (on_event) g_events->watch(fd_.get(), this, EventQueue::kIn);
  else g_events->watch_edges(fd_.get(), this, &ready.read, &ready.write);
  watched_ = true;
}

void Source::close() {
  if (watched_ && g_events) g_events->closing(fd_.get());
  fd_.reset();
  port_.reset();
  watched_ = false;
}

void Source::unread(std::string bytes) {
  unread_.insert(0, bytes);
  ready.read = true;
}

ssize_t Source::recv(void* buffer, size_t size) {
  if (!unread_.empty()) {
    size_t n = std::min(size, unread_.size());
    std::memcpy(buffer, unread_.data(), n);
    unread_.erase(0, n);
    if (unread_.empty()) std::string().swap(unread_);
    return static_cast<ssize_t>(n);
  }
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
  do n = port_ ? port_->send(bytes, size) : ::send(fd_.get(), bytes, size, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) {
    ready.write = false;
  } else if (n < 0) {
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
    timers_.erase(timers_.begin());
    waker->armed_ = false;
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
      int64_t left = std::clamp<int64_t>(timers_.begin()->first - now_, 0, 3600 * 1000);
      if (timeout < 0 || left < timeout) timeout = static_cast<int>(left);
    }
    if (!ready_.empty()) timeout = 0;
    auto events = events_.wait(timeout);
    tick();
    for (auto [what, bits] : events) {
      auto* source = static_cast<Source*>(what);
      if (source->on_event) {
        source->on_event(bits);
        continue;
      }
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
      if (!waker) continue;
      ready_[i] = nullptr;
      waker->queued_ = false;
      if (waker->waiting_ && waker->signal_ != Waker::Signal::none) std::exchange(waker->waiting_, nullptr).resume();
    }
    std::erase(ready_, nullptr);
  }
}

}  // namespace bottle::guard
