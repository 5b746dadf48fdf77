// Turns signals into a descriptor that a poller can wait for.
#pragma once

#include <signal.h>

#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

#include "base/os/descriptors.h"

namespace bottle {

// While an object exists, it receives these signals instead of their usual effect, including those that were blocked
// and are pending. Several objects may exist at the same time if they are destroyed in reverse order; the newest
// receives the signals.
class Signals {
 public:
  // With `Nohup::respected`, SIGHUP stays ignored if it was ignored before, as it is in a program that nohup(1) runs.
  enum class Nohup { overridden, respected };
  explicit Signals(std::initializer_list<int> numbers, Nohup nohup = Nohup::overridden);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Returns a descriptor that becomes readable when a signal has arrived, or -1 if no descriptor was available.
  int fd() const { return ends_.read.get(); }
  std::optional<int> next() const;  // the number of the next signal that arrived; never blocks
  void wake() const;                // makes fd() readable until next() is called, although no signal has arrived

 private:
  PipeEnds ends_;
  int before_ = -1;  // the descriptor that received the signals before
  std::vector<std::pair<int, struct sigaction>> actions_;
  sigset_t mask_{};
};

}  // namespace bottle
