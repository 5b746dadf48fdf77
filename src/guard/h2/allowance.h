// Limits how often a peer may cause work without moving data. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace bottle::guard::h2 {

// Implements a token bucket for one kind of event.
class Allowance {
 public:
  // Permits `burst` events in a burst, and `per_second` in the long run.
  Allowance(int64_t burst, int64_t per_second) : burst_(burst), per_second_(per_second), left_(burst * 1000) {}

  // Takes one event at the time `now`, in milliseconds. Returns false if there have been too many.
  bool take(int64_t now) {
    left_ = std::min(burst_ * 1000, left_ + (now - at_) * per_second_);
    at_ = now;
    left_ -= 1000;
    return left_ >= 0;
  }
  // Permits further events, because data has moved.
  void add(int64_t events) { left_ = std::min(burst_ * 1000, left_ + events * 1000); }

 private:
  int64_t burst_, per_second_, left_, at_ = 0;  // left_ is in thousandths of an event
};

}  // namespace bottle::guard::h2
