// Uses the self-pipe trick. The handler, in which almost nothing is safe, only writes the signal's number into a
// pipe. Everything else happens where the pipe is read. signalfd(2) would do the same, but only Linux has it.

#include "base/os/signals.h"

#include <unistd.h>

#include <cerrno>

namespace bottle {
namespace {

// A handler has no argument for its owner, so the descriptor of the newest object is a variable of the process.
volatile sig_atomic_t target = -1;

void on_signal(int number) {
  // The handler may interrupt code that is about to look at errno.
  int saved = errno;
  char byte = static_cast<char>(number);
  (void)!::write(target, &byte, 1);  // if the pipe is full, it already wakes the reader
  errno = saved;
}

}  // namespace

// The order keeps a signal from being lost or from ending the process: first the pipe, then the handlers, then the
// mask.
Signals::Signals(std::initializer_list<int> numbers, Nohup nohup) : before_(target) {
  auto pipe = make_pipe(Waits::no);
  // Without descriptors, the signals keep their usual effect, which is better than losing them.
  if (!pipe) return;
  ends_ = std::move(*pipe);
  target = ends_.write.get();
  // Without SA_RESTART, a system call that a signal interrupts returns EINTR, so a wait without a poller also ends.
  struct sigaction action{}, usual{};
  action.sa_handler = on_signal;
  sigset_t ours;
  sigemptyset(&ours);
  for (int number : numbers) {
    bool is_ignored = ::sigaction(number, nullptr, &usual) == 0 && usual.sa_handler == SIG_IGN;
    if (nohup == Nohup::respected && number == SIGHUP && is_ignored) continue;
    sigaddset(&ours, number);
    if (::sigaction(number, &action, &usual) == 0) actions_.emplace_back(number, usual);
  }
  // This comes last, because signals that were pending arrive now, and the handlers must already be there.
  ::pthread_sigmask(SIG_UNBLOCK, &ours, &mask_);
}

Signals::~Signals() {
  if (!ends_.read) return;
  // This comes first, so that signals that were blocked before cannot arrive once their usual action, such as ending
  // the process, is back.
  ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  for (const auto& [number, usual] : actions_) ::sigaction(number, &usual, nullptr);
  target = before_;
}

std::optional<int> Signals::next() const {
  char byte = 0;
  // A zero byte comes from wake() and stands for no signal.
  if (::read(ends_.read.get(), &byte, 1) != 1 || byte == 0) return std::nullopt;
  return byte;
}

void Signals::wake() const { (void)!::write(ends_.write.get(), "", 1); }

}  // namespace bottle
