// Tracks how long the possible beginning of a secret has been held back in one direction of a stream. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace bottle::guard {

// After this many milliseconds without bytes, the beginning is released.
inline constexpr int64_t kMostQuiet = 15;

// After this many milliseconds, the beginning is released even if bytes arrive all the time.
inline constexpr int64_t kMostHeldBack = 150;

// Times one direction without a clock. Times are in milliseconds of Loop::now().
class HeldBack {
 public:
  // Says what a step of the direction has done.
  struct Seen {
    bool holds = false;  // bytes are held back that may be released
    bool moved = false;  // they begin at another byte than before, because others were passed on
    bool came = false;   // bytes arrived, so there is no pause
  };
  // Call it after each step. Returns true if the bytes that are held back must be released now.
  bool due(Seen seen, int64_t now) {
    if (!seen.holds) {
      released();
      return false;
    }
    if (since_ == kNever || seen.moved) since_ = quiet_since_ = now;
    if (seen.came) quiet_since_ = now;
    return now >= until(INT64_MAX);
  }
  // Starts the time again, because the bytes have left or wait for something else.
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
