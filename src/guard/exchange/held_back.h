// Tracks how long the possible beginning of a secret has been held back in one direction of a stream. The
// code is pure.
#pragma once

#include <cstdint>

namespace bottle::guard {

// The milliseconds of quiet after which it is no longer held back.
inline constexpr int64_t kMostQuiet = 15;

// A timer without a clock, for one direction. Times are in milliseconds of Loop::now().
class HeldBack {
 public:
  // Must be called after each step. `holds` says whether something is held back that may be released. `moved` says
  // whether the held part begins elsewhere than before, because other bytes were passed on. Returns true if it must be
  // released now.
  bool due(bool holds, bool moved, int64_t now) {
    if (!holds) {
      since_ = kNever;
      return false;
    }
    if (since_ == kNever || moved) since_ = now;
    return now - since_ >= kMostQuiet;
  }
  // Starts the time anew, because what was held back has left or waits for something else.
  void released() { since_ = kNever; }
  // Returns when due() becomes true if nothing arrives, or `otherwise` if nothing is held back.
  int64_t until(int64_t otherwise) const {
    return since_ == kNever || since_ + kMostQuiet > otherwise ? otherwise : since_ + kMostQuiet;
  }

 private:
  static constexpr int64_t kNever = -1;
  int64_t since_ = kNever;
};

}  // namespace bottle::guard
