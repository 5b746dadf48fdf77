// Says how long a wait may take.
#pragma once

#include <algorithm>
#include <chrono>
#include <climits>
#include <compare>

namespace bottle {

// Holds the time at which a wait must end. Setting the system's clock does not move it. Of two deadlines, the earlier
// one is the smaller one.
class Deadline {
 public:
  // Returns a deadline that is over once `time` has passed. If `time` is not positive, the deadline is already over.
  static Deadline in(std::chrono::milliseconds time) { return Deadline(Clock::now() + time); }
  static Deadline in_ms(int time) { return in(std::chrono::milliseconds(time)); }

  // Returns a deadline that is never over.
  static Deadline never() { return Deadline(Clock::time_point::max()); }

  bool is_over() const { return at_ != Clock::time_point::max() && Clock::now() >= at_; }

  // Returns the milliseconds until it is over, as poll(2) takes them: 0 if it is over, and -1 if it never will be. The
  // time is rounded up: if a part of a millisecond counted as 0, a wait would end too early, or a loop would spin until
  // that part has passed.
  int ms_left() const { return at_ == Clock::time_point::max() ? -1 : ms_left(INT_MAX); }

  // Returns the milliseconds until it is over, but no more than `at_most`, which must not be negative.
  int ms_left(int at_most) const {
    if (at_ == Clock::time_point::max()) return at_most;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now()).count();
    return static_cast<int>(std::clamp<long long>(left, 0, at_most));
  }

  auto operator<=>(const Deadline&) const = default;

 private:
  using Clock = std::chrono::steady_clock;
  explicit Deadline(Clock::time_point at) : at_(at) {}

  Clock::time_point at_;
};

}  // namespace bottle
