// Recognizes the detach key, Ctrl-P Ctrl-Q as in Docker. Pure: the caller passes the time.
#pragma once

#include <chrono>
#include <string>

namespace bottle::session {

// Holds a Ctrl-P back only briefly, because editors and shells use it by itself. Even after its release, it counts as
// the first half of the key until another key is typed, so that slow typists can detach as well.
class DetachKey {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kHold{250};

  // Returns true if the whole key was typed; the rest of `bytes` is then dropped. Otherwise, `bytes` is what must go to
  // the agent now.
  bool take(std::string& bytes, Time now);

  // Returns the bytes that were held long enough and must go to the agent now. The result is usually empty.
  std::string release(Time now);

  // Returns the time until release() has something, in milliseconds, or -1 if nothing is held.
  int wait_ms(Time now) const;

 private:
  enum class State { idle, held, let_go } state_ = State::idle;
  Time since_{};
};

}  // namespace bottle::session
