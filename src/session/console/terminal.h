// The operator's terminal: raw while the agent has it, itself again on every way out.
#pragma once

#include <termios.h>

#include <string>

#include "base/error.h"
#include "base/line.h"

namespace bottle::session {

class RawTerminal {
 public:
  // Does nothing where `fd` is no terminal.
  explicit RawTerminal(int fd);
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal();

 private:
  int fd_;
  bool active_ = false;
  termios saved_{};
};

struct Size {
  int rows = 24, cols = 80;
};
Size terminal_size(int fd);

// Asks on /dev/tty, without echo if `hidden`. Code::unavailable where there is no terminal.
Result<std::string> ask(const Line& question, bool hidden);

}  // namespace bottle::session
