// Decides when to restart a guard that died. It never gives up, but waits longer each time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <optional>

#include "base/error.h"
#include "session/guard_link/guard_link.h"

namespace bottle::session {

// Tracks whether the guard is up, down until the next attempt, or starting. In the beginning, it is up. Times are
// passed in, so that tests need not wait.
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

  // Call it when the guard is gone. The first attempt after the guard was up for a minute is due immediately. Each
  // further one is due after a longer pause, even if the attempts before it brought a guard that soon died.
  void lose(Time now);
  // Calls `start` on a new thread. Everything that `start` uses must outlive this object.
  void begin(std::function<Result<GuardLink>()> start);
  // Returns the outcome of an attempt once, after it has ended. Does not block. After a success, the guard is up.
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
