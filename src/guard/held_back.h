// How long the beginning of what could become a secret has been held back in one direction of a stream. Pure.
#pragma once

#include <cstdint>

namespace bottle::guard {

// Milliseconds of quiet after which it is not held back any longer.
inline constexpr int64_t kMostQuiet = 15;

class HeldBack {
 public:
  // After each step. `holds`: whether something is held back that may be released. `moved`: whether what is held back
  // begins elsewhere than before, since other bytes went on. True: release it now.
  bool due(bool holds, bool moved, int64_t now) {
    if (!holds) {
      since_ = kNever;
      return false;
    }
    if (since_ == kNever || moved) since_ = now;
    return now - since_ >= kMostQuiet;
  }
  void released() { since_ = kNever; }
  // When due() becomes true if nothing comes; `otherwise` if nothing is held back.
  int64_t until(int64_t otherwise) const {
    return since_ == kNever || since_ + kMostQuiet > otherwise ? otherwise : since_ + kMostQuiet;
  }

 private:
  static constexpr int64_t kNever = -1;
  int64_t since_ = kNever;
};

}  // namespace bottle::guard
