// Puts the operator's terminal into raw mode while the agent uses it, and restores it in every case.
#pragma once

#include <termios.h>

#include <stop_token>
#include <string>

#include "base/error.h"
#include "base/text/line.h"

namespace bottle::session {

// Keeps a terminal in raw mode for as long as it exists.
class RawTerminal {
 public:
  // Does nothing if `fd` is not a terminal.
  explicit RawTerminal(int fd);
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal();

 private:
  int fd_;
  bool active_ = false;
  termios saved_{};
};

// Holds the size of a terminal in characters.
struct Size {
  int rows = 24, cols = 80;
};
// Returns 24 by 80 if the terminal does not tell its size.
Size terminal_size(int fd);

// Asks a question on /dev/tty, without echo if `hidden`. Fails with Code::unavailable if there is no terminal, and
// with Code::canceled if `stop` is requested.
Result<std::string> ask(const Line& question, bool hidden, const std::stop_token& stop = {});

}  // namespace bottle::session
