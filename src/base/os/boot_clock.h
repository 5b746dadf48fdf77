// A clock in seconds that also counts while the machine sleeps, and that cannot be set.
#pragma once

#include <time.h>

namespace bottle {

inline double boot_seconds() {
#ifdef CLOCK_BOOTTIME
  constexpr auto kClock = CLOCK_BOOTTIME;
#else
  constexpr auto kClock = CLOCK_MONOTONIC;  // on macOS it counts sleep too
#endif
  timespec now{};
  ::clock_gettime(kClock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace bottle
