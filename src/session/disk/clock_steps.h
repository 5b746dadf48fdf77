// Notes how far the machine's clock was set back. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace bottle::session {

// Compares a clock that can be set with one that cannot. A file has the time of the first clock. What an agent writes
// while that clock is behind seems to be older than the agent, even after the clock was set forward again.
class ClockSteps {
 public:
  using Seconds = std::chrono::duration<double>;

  // Takes readings of the clock that can be set and of one that cannot. Call it often: a step back is missed if a step
  // forward follows before the next call.
  void note(Seconds set, Seconds steady) {
    Seconds apart = set - steady, step = apart - last_.value_or(apart);
    last_ = apart;
    // Smaller differences are due to time services, which slow a clock down, and to the time between both readings.
    if (step > -kStep && step < kStep) return;
    behind_ -= step;
    furthest_ = std::max(furthest_, behind_);
  }
  // Returns how far the clock has been behind what it would show if it had not been set since the first note().
  std::chrono::seconds furthest_behind() const { return std::chrono::ceil<std::chrono::seconds>(furthest_); }

 private:
  static constexpr Seconds kStep{0.1};
  std::optional<Seconds> last_;
  Seconds behind_{0}, furthest_{0};
};

}  // namespace bottle::session
