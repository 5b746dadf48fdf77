// Turns the signals for a launcher into bytes on a pipe.
#pragma once

#include <signal.h>

namespace bottle::session {

// While this object exists, SIGWINCH, SIGINT, SIGTERM and SIGHUP do nothing but put their number on the pipe. There may
// be only one such object at a time.
class SignalPipe {
 public:
  SignalPipe();
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;
  ~SignalPipe();
  int fd() const;     // readable when a signal has come
  int next() const;   // returns the next signal's number, or 0 if none has come; does not block
  void wake() const;  // makes fd() readable although no signal has come

 private:
  static constexpr int kNumbers[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP};
  struct sigaction saved_[4]{};
};

}  // namespace bottle::session
