// A destructor restores the terminal's settings, whatever ends the launcher's use of it, except SIGKILL. The restored
// settings take effect after the output is written (TCSADRAIN), so that the last lines are not shown with the wrong
// ones.
#include "session/console/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/defer.h"
#include "base/files/file.h"
#include "base/os/poller.h"
#include "base/unique_fd.h"

namespace bottle::session {

namespace {
constexpr int kLookForStopMs = 50;
}

RawTerminal::RawTerminal(int fd) : fd_(fd) {
  if (!::isatty(fd) || ::tcgetattr(fd, &saved_) != 0) return;
  termios raw = saved_;
  ::cfmakeraw(&raw);
  active_ = ::tcsetattr(fd, TCSANOW, &raw) == 0;
}

RawTerminal::~RawTerminal() {
  if (active_) ::tcsetattr(fd_, TCSADRAIN, &saved_);
}

Size terminal_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return {};
  return {size.ws_row, size.ws_col};
}

Result<std::string> ask(const Line& question, bool hidden, const std::stop_token& stop) {
  // Questions go to the terminal itself, because stdin and stdout may be a file or a pipe.
  UniqueFd tty(::open("/dev/tty", O_RDWR | O_CLOEXEC));
  if (!tty)
    return fail(Code::unavailable, "there is no terminal to ask on: " + question.text(),
                "run bottle in a terminal, use --yes to confirm, or take values from variables");
  termios saved{};
  ::tcgetattr(tty.get(), &saved);
  Defer restore([&] {
    if (hidden) ::tcsetattr(tty.get(), TCSADRAIN, &saved);
  });
  if (hidden) {
    termios quiet = saved;
    // The terminal still reads whole lines, so the operator can correct a passphrase.
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(tty.get(), TCSANOW, &quiet);
  }
  // Comes after that, because a person or a program may answer at once.
  TRY(write_all(tty.get(), question.text() + ": "));
  std::string answer;
  // Reads single bytes, so that input after the line stays for the next reader.
  for (char c = 0; c != '\n';) {
    // A stop does not make the terminal readable.
    bool ready = wait_readable(tty.get(), stop.stop_possible() ? kLookForStopMs : -1);
    if (stop.stop_requested()) {
      (void)write_all(tty.get(), "\n");
      return fail(Code::canceled, "not answered: " + question.text());
    }
    if (!ready) continue;
    ssize_t n = ::read(tty.get(), &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n != 1) break;
    if (c != '\n') answer += c;
  }
  if (hidden) (void)write_all(tty.get(), "\n");
  return answer;
}

}  // namespace bottle::session
