// Says whether the input of clients must wait because the agent on the far side does not read. Without that, a client
// that sends much would fill the far side's memory: there is always someone who reads its frames.
#pragma once

#include <chrono>
#include <optional>

namespace bottle::remote {

// Believes the far side only for a while. Otherwise, one that was taken over could keep a launcher's request to stop
// from being read.
class InputPause {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // How long a word of the far side counts, which repeats it every second; and how long a pause lasts, which is longer
  // than a far side needs to give up an agent that reads nothing.
  static constexpr std::chrono::seconds kCounts{4}, kLongest{10};

  // Takes what the far side says. After kLongest, it is not believed until it has said that input need not wait.
  void told(bool waits, Time now) {
    if (!waits) return reset();
    if (!since_) since_ = now;
    last_ = now;
  }
  // Forgets what the far side said, because the connection to it has ended.
  void reset() { since_.reset(); }

  bool waits(Time now) const { return since_ && now - last_ < kCounts && now - *since_ < kLongest; }

 private:
  std::optional<Time> since_;
  Time last_{};
};

}  // namespace bottle::remote
