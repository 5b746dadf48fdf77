// A destructor restores the terminal's settings, whatever ends the launcher's use of it, except SIGKILL. The restored
// settings take effect after the output is written, so that the last lines are not shown with the wrong ones. Input
// that has not been read was for the agent, and is dropped (TCSAFLUSH), because the shell would run it.
#include "session/console/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/defer.h"
#include "base/files/file.h"
#include "base/os/poller.h"
#include "base/os/signals.h"
#include "base/unique_fd.h"

namespace bottle::session {

namespace {
constexpr int kLookForStopMs = 50;
}

RawTerminal::RawTerminal(int fd, Raw what) : fd_(fd) {
  if (!::isatty(fd) || ::tcgetattr(fd, &saved_) != 0) return;
  termios raw = saved_;
  ::cfmakeraw(&raw);
  if (what == Raw::keys) {
    raw.c_oflag = saved_.c_oflag;
    raw.c_lflag |= saved_.c_lflag & static_cast<tcflag_t>(ISIG);
  }
  active_ = ::tcsetattr(fd, TCSANOW, &raw) == 0;
}

RawTerminal::~RawTerminal() {
  if (active_) ::tcsetattr(fd_, TCSAFLUSH, &saved_);
}

void AgentScreen::wrote(std::string_view bytes) {
  for (char c : bytes) take(c);
}

// Recognizes a control sequence (ECMA-48): ESC [, parameters, and a final letter. In UTF-8, the bytes C2 9B are another
// form of ESC [.
void AgentScreen::take(char c) {
  constexpr char kEscape = '\x1b', kShiftOut = '\x0e';
  bool is_csi = last_ == '\xc2' && c == '\x9b';
  last_ = c;
  has_escapes_ |= c == kEscape || c == kShiftOut || is_csi;
  if (in_ == In::parameters && c != kEscape) return take_parameter(c);
  if (c == kEscape) {
    in_ = In::escape;
  } else if (is_csi || (in_ == In::escape && c == '[')) {
    in_ = In::parameters;
    parameters_.clear();
  } else {
    has_colors_ |= in_ == In::escape && c == ']';
    if (in_ == In::escape && c == 'c') is_alternate_ = false;  // a full reset
    in_ = In::text;
  }
}

void AgentScreen::take_parameter(char c) {
  constexpr size_t kMostParameters = 64;
  if (c >= ' ' && c <= '?') {
    if (parameters_.size() < kMostParameters) parameters_ += c;
    return;
  }
  in_ = In::text;
  if ((c != 'h' && c != 'l') || !parameters_.starts_with('?')) return;
  std::string list = ";" + parameters_.substr(1) + ";";
  for (const char* mode : {";47;", ";1047;", ";1049;"})
    if (list.find(mode) != std::string::npos) is_alternate_ = c == 'h';
}

std::string AgentScreen::restoration() {
  std::string all;
  if (has_escapes_) {
    all =
        "\x18\x1b\\"                      // ends a sequence or a string that is not complete
        "\x1b[!p\x1b[0m\x1b(B\x0f"        // a soft reset; normal text in ASCII
        "\x1b[?7h\x1b[?25h\x1b[?1l\x1b>"  // lines wrap, the cursor shows, and its keys send their usual codes
        "\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  // the mouse
        "\x1b[?1004l\x1b[?2004l\x1b[?2026l"  // reports of focus, marks around pasted text, delayed output
        "\x1b[>4m\x1b[<9u";                  // other codes for keys, of xterm and of kitty
    // Only the first also moves the cursor back. Outside of the alternate screen, it would move it anywhere.
    all += is_alternate_ ? "\x1b[?1049l" : "\x1b[?1047l";
    if (has_colors_) all += "\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\";
  }
  if (last_ != '\n') all += "\r\n";
  *this = {};
  return all;
}

void drop_answers(int fd) {
  constexpr std::string_view kQuestion = "\x1b[5n", kAnswer = "\x1b[0n";  // a terminal always answers it so
  auto deadline = Deadline::in_ms(100);
  if (!write_all(fd, kQuestion)) return;
  for (std::string seen; seen.find(kAnswer) == std::string::npos;) {
    if (!wait_readable(fd, deadline)) return;
    char buffer[4096];
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n <= 0) return;
    seen.append(buffer, static_cast<size_t>(n));
    if (seen.size() > kAnswer.size()) seen.erase(0, seen.size() - std::max(static_cast<size_t>(n), kAnswer.size()));
  }
}

Size terminal_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return {};
  return {size.ws_row, size.ws_col};
}

namespace {

// Reads a line. Ends early if `stop` is requested or `signals`, a descriptor or -1, becomes readable. Reads single
// bytes, so that input after the line stays for the next reader.
Result<std::string> read_line(int tty, const Line& question, int signals, const std::stop_token& stop) {
  auto canceled = [&] {
    (void)write_all(tty, "\n");
    return fail(Code::canceled, "not answered: " + question.text());
  };
  std::string answer;
  for (char c = 0; c != '\n';) {
    Poller poller;
    poller.watch(tty);
    if (signals >= 0) poller.watch(signals);
    poller.wait(stop.stop_possible() ? kLookForStopMs : -1);  // a stop does not make the terminal readable
    if (stop.stop_requested() || (signals >= 0 && poller.readable(signals))) return canceled();
    if (!poller.readable(tty)) continue;
    ssize_t n = ::read(tty, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n != 1) break;
    if (c != '\n') answer += c;
  }
  return answer;
}

// Asks without echo, and turns the echo on again, also if a signal arrives. `signal` becomes its number.
Result<std::string> ask_hidden(int tty, const Line& question, const std::stop_token& stop, int& signal) {
  Signals signals({SIGINT, SIGTERM, SIGHUP, SIGQUIT}, Signals::Nohup::respected);
  termios saved{};
  ::tcgetattr(tty, &saved);
  Defer restore([&] { ::tcsetattr(tty, TCSADRAIN, &saved); });
  termios quiet = saved;
  // The terminal still reads whole lines, so the operator can correct a passphrase.
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(tty, TCSANOW, &quiet);
  // Comes after that, because a person or a program may answer at once.
  TRY(write_all(tty, question.text() + ": "));
  auto answer = read_line(tty, question, signals.fd(), stop);
  signal = signals.next().value_or(0);
  if (answer) (void)write_all(tty, "\n");
  return answer;
}

}  // namespace

Result<std::string> ask(const Line& question, Echo echo, const std::stop_token& stop) {
  // Questions go to the terminal itself, because stdin and stdout may be a file or a pipe.
  UniqueFd tty(::open("/dev/tty", O_RDWR | O_CLOEXEC));
  if (!tty)
    return fail(Code::unavailable, "there is no terminal to ask on: " + question.text(),
                "run bottle in a terminal, use --yes to confirm, or take values from variables");
  int signal = 0;
  if (echo == Echo::off) {
    auto answer = ask_hidden(tty.get(), question, stop, signal);
    if (signal != 0) ::raise(signal);  // has its usual effect, now that the terminal shows input again
    return answer;
  }
  TRY(write_all(tty.get(), question.text() + ": "));
  return read_line(tty.get(), question, -1, stop);
}

Result<> confirm(const Line& question, std::string_view if_not, const std::stop_token& stop) {
  std::string answer = TRY(ask(question + " [y/N]", Echo::on, stop));
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return fail(Code::canceled, std::string(if_not));
}

}  // namespace bottle::session
