#include "session/console/signal_pipe.h"

#include <unistd.h>

#include <cerrno>
#include <iterator>

#include "base/os/descriptors.h"

namespace bottle::session {
namespace {

PipeEnds ends;
volatile sig_atomic_t target = -1;  // for the handler

void on_signal(int number) {
  int saved = errno;
  char c = static_cast<char>(number);
  (void)!::write(target, &c, 1);
  errno = saved;
}

}  // namespace

SignalPipe::SignalPipe() {
  auto made = make_pipe(Waits::no);
  if (!made) return;
  ends = std::move(*made);
  target = ends.write.get();
  struct sigaction action{};
  action.sa_handler = on_signal;
  for (size_t i = 0; i < std::size(kNumbers); ++i) ::sigaction(kNumbers[i], &action, &saved_[i]);
}

SignalPipe::~SignalPipe() {
  if (!ends.read) return;
  for (size_t i = 0; i < std::size(kNumbers); ++i) ::sigaction(kNumbers[i], &saved_[i], nullptr);
  target = -1;
  ends = {};
}

int SignalPipe::fd() const { return ends.read.get(); }

int SignalPipe::next() const {
  char number = 0;
  return ::read(ends.read.get(), &number, 1) == 1 ? number : 0;
}

void SignalPipe::wake() const { on_signal(0); }

}  // namespace bottle::session
