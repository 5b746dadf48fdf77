#include "session/console/signal_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>

namespace bottle::session {
namespace {

int ends[2] = {-1, -1};

void on_signal(int number) {
  int saved = errno;
  char c = static_cast<char>(number);
  (void)!::write(ends[1], &c, 1);
  errno = saved;
}

}  // namespace

SignalPipe::SignalPipe() {
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
  struct sigaction action{};
  action.sa_handler = on_signal;
  for (size_t i = 0; i < std::size(kNumbers); ++i) ::sigaction(kNumbers[i], &action, &saved_[i]);
}

SignalPipe::~SignalPipe() {
  if (ends[0] < 0) return;
  for (size_t i = 0; i < std::size(kNumbers); ++i) ::sigaction(kNumbers[i], &saved_[i], nullptr);
  for (int& end : ends) {
    ::close(end);
    end = -1;
  }
}

int SignalPipe::fd() const { return ends[0]; }

int SignalPipe::next() const {
  char number = 0;
  return ::read(ends[0], &number, 1) == 1 ? number : 0;
}

void SignalPipe::wake() const { on_signal(0); }

}  // namespace bottle::session
