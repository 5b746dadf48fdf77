// Says whether the input of clients must wait because the agent on the far side does not read, or the connection is
// slow. Without that, a client that sends much would fill the memory, because its frames are always read.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace bottle::remote {

// Lets clients wait only for a while. Otherwise, a far side that was taken over could keep a launcher's request to stop
// from being read, because that comes after the launcher's input.
class InputPause {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // How long a statement of the far side counts. The far side repeats it every second.
  static constexpr std::chrono::seconds kCounts{4};
  // The longest time for which clients wait in all, until kBytesBetweenPauses bytes of their input have been read. The
  // time is longer than a far side needs to give up an agent that reads nothing. The bytes are more than a socket
  // holds, so that a request to stop is reached within two pauses, and less than a slow agent reads in one.
  static constexpr std::chrono::seconds kLongest{10};
  static constexpr size_t kBytesBetweenPauses = 256 << 10;

  void far_side_says(bool waits, Time now) {
    if (waits) told_at_ = now;
    else told_at_.reset();
  }
  // Forgets what the far side said, because the connection to it has ended.
  void reset() { told_at_.reset(); }
  // Counts input of a client that was read. Whatever the far side says, only this ends the count of the waiting.
  void took(size_t bytes) {
    read_ += bytes;
    if (read_ < kBytesBetweenPauses) return;
    read_ = 0;
    waited_ = {};
  }

  // Counts the time since the last call, and returns whether clients wait from now until the next one. `behind` says
  // that the connection is slow.
  bool update(bool behind, Time now) {
    if (waits_) waited_ += now - since_;
    since_ = now;
    waits_ = (behind || (told_at_ && now - *told_at_ < kCounts)) && waited_ < kLongest;
    return waits_;
  }

 private:
  std::optional<Time> told_at_;  // when the far side last said that input must wait
  Time since_{};                 // the last call of update()
  Time::duration waited_{};      // since kBytesBetweenPauses bytes were read
  size_t read_ = 0;
  bool waits_ = false;
};

}  // namespace bottle::remote
