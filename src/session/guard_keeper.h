// This file decides when a guard that died is started again. It never gives up, but waits longer each time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <optional>

#include "base/error.h"
#include "session/guard_link/guard_link.h"

namespace bottle::session {

// Holds whether the guard is up, down until the time of the next attempt, or starting. It begins with a guard that is
// up. Times are passed in, so that tests need not wait.
class GuardKeeper {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  explicit GuardKeeper(Time now) : up_since_(now) {}

  // Return the present state. It is `down` if neither is true.
  bool is_up() const { return state_ == State::up; }
  bool is_starting() const { return state_ == State::starting; }
  // Returns whether the guard is down and the time of the next attempt has come.
  bool is_due(Time now) const { return state_ == State::down && now >= retry_at_; }
  uint64_t restarts() const { return restarts_; }  // how many times a guard came back
  int attempts() const { return attempts_; }       // how many attempts there were since it was last up for a minute

  // Must be called when the guard is gone. The first attempt since the guard was last up for a minute is due at once,
  // and each further one after a longer pause, even if the attempts before it brought a guard that soon died.
  void lose(Time now);
  // Calls `start` on a thread of its own. What `start` uses must outlive this object.
  void begin(std::function<Result<GuardLink>()> start);
  // Returns the outcome of an attempt that has ended, once. Does not block. After a success the guard is up.
  std::optional<Result<GuardLink>> take(Time now);
  // Waits for an attempt that is under way.
  void end() const;

 private:
  Clock::duration pause() const;  // before the next attempt
  enum class State { up, down, starting } state_ = State::up;
  Time up_since_, retry_at_{};
  int attempts_ = 0;
  uint64_t restarts_ = 0;
  std::future<Result<GuardLink>> starting_;
};

}  // namespace bottle::session
