// The detach key: Ctrl-P Ctrl-Q, as Docker has it. Pure: the caller brings the time.
#pragma once

#include <chrono>
#include <string>

namespace bottle::session {

// A Ctrl-P is held back only briefly, because editors and shells use it alone. One that was let go still counts as the
// first half of the key until something else is typed, so that slow fingers can detach too.
class DetachKey {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kHold{250};

  // True: the whole key was typed, and the rest of `bytes` is dropped. False: `bytes` is what goes to the agent now.
  bool take(std::string& bytes, Time now);

  // What was held for long enough, to be sent to the agent; usually empty.
  std::string release(Time now);

  // How long until release() has something, in milliseconds; -1: nothing is held.
  int wait_ms(Time now) const;

 private:
  enum class State { idle, held, let_go } state_ = State::idle;
  Time since_{};
};

}  // namespace bottle::session
