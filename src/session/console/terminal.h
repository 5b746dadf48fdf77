// Puts the operator's terminal into raw mode while the agent uses it, and restores it in every case.
#pragma once

#include <termios.h>

#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/text/line.h"

namespace bottle::session {

// Keeps a terminal in raw mode for as long as it exists.
class RawTerminal {
 public:
  // With `keys`, only input is raw: Ctrl-C is still a signal, and each line of the output still begins at the left.
  enum class Raw { all, keys };
  // Does nothing if `fd` is not a terminal.
  explicit RawTerminal(int fd, Raw what = Raw::all);
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal();

 private:
  int fd_;
  bool active_ = false;
  termios saved_{};
};

// Follows what an agent writes to a terminal, so that the terminal can be used again afterward. The last output of an
// agent may hide what bottle writes next, or leave the shell with the agent's modes.
class AgentScreen {
 public:
  // Notes output that was written to the terminal.
  void wrote(std::string_view bytes);

  // Returns what ends each mode that the output may have begun, and ends its last line. Empty if the output left
  // nothing behind. The next call starts from the beginning.
  std::string restoration();

  // Returns whether the output may have asked the terminal a question, whose answer comes as input.
  bool may_be_answered() const { return has_escapes_; }

 private:
  void take(char c);
  void take_parameter(char c);
  enum class In { text, escape, parameters } in_ = In::text;
  std::string parameters_;     // of the control sequence so far
  bool has_escapes_ = false;   // the output was not only text
  bool is_alternate_ = false;  // the terminal shows its alternate screen
  bool has_colors_ = false;    // the palette may have changed
  char last_ = '\n';
};

// Reads and drops what the terminal still answers to an agent's questions. `fd` must be in raw mode. Waits until the
// terminal answers bottle's own question, which it does last, but not longer than a tenth of a second.
void drop_answers(int fd);

// Holds the size of a terminal in characters.
struct Size {
  int rows = 24, cols = 80;
};
// Returns 24 by 80 if the terminal does not tell its size.
Size terminal_size(int fd);

// Says whether the terminal shows what the operator types.
enum class Echo { on, off };

// Asks a question on /dev/tty. Fails with Code::unavailable if there is no terminal, and with Code::canceled if `stop`
// is requested.
Result<std::string> ask(const Line& question, Echo echo, const std::stop_token& stop = {});

// Asks a question that the operator answers with yes or no. Fails with Code::canceled and `if_not`, such as "nothing
// was removed", after any answer other than yes. Other errors are those of ask().
Result<> confirm(const Line& question, std::string_view if_not, const std::stop_token& stop = {});

}  // namespace bottle::session
