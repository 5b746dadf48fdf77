// Tracks how long the possible beginning of a secret has been held back in one direction of a stream. The
// code is pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace bottle::guard {

// The milliseconds of quiet after which it is no longer held back.
inline constexpr int64_t kMostQuiet = 15;

// The milliseconds after which it is no longer held back although bytes arrive all the time.
inline constexpr int64_t kMostHeldBack = 150;

// A timer without a clock, for one direction. Times are in milliseconds of Loop::now().
class HeldBack {
 public:
  // Must be called after each step. `holds` says whether something is held back that may be released. `moved` says
  // whether the held part begins elsewhere than before, because other bytes were passed on. `came` says whether bytes
  // arrived, which is no pause. Returns true if what is held back must be released now.
  bool due(bool holds, bool moved, int64_t now, bool came = false) {
    if (!holds) {
      released();
      return false;
    }
    if (since_ == kNever || moved) since_ = quiet_since_ = now;
    if (came) quiet_since_ = now;
    return now >= until(INT64_MAX);
  }
  // Starts the time anew, because what was held back has left or waits for something else.
  void released() { since_ = kNever; }
  // Returns when due() becomes true if nothing arrives, or `otherwise` if that is earlier or nothing is held back.
  int64_t until(int64_t otherwise) const {
    if (since_ == kNever) return otherwise;
    return std::min({otherwise, quiet_since_ + kMostQuiet, since_ + kMostHeldBack});
  }

 private:
  static constexpr int64_t kNever = -1;
  int64_t since_ = kNever;  // when the held part began to wait
  int64_t quiet_since_ = kNever;
};

}  // namespace bottle::guard
