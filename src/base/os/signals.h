// Turns signals into something that a poller can wait for.
#pragma once

#include <signal.h>

#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

#include "base/os/descriptors.h"

namespace bottle {

// While it exists, these signals arrive here instead of having their usual effect, also those that were blocked and are
// pending. Several may exist at once if they are destroyed in the reverse order; the newest gets the signals.
class Signals {
 public:
  explicit Signals(std::initializer_list<int> numbers);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Becomes readable when a signal has arrived; -1 if no descriptor is left.
  int fd() const { return ends_.read.get(); }
  std::optional<int> next() const;  // the number of the next signal that arrived; never blocks
  void wake() const;                // makes fd() readable until next() is called, although no signal has arrived

 private:
  PipeEnds ends_;
  int before_ = -1;  // where signals went before
  std::vector<std::pair<int, struct sigaction>> actions_;
  sigset_t mask_{};
};

}  // namespace bottle
