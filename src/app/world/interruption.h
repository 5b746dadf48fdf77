// Lets Ctrl-C, SIGTERM and SIGHUP end a start at any moment.
#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

#include "base/os/signals.h"

namespace bottle::app {

// Until hand_over() is called, a signal requests a stop. If the process has not ended ten seconds later, or at the
// second signal, it is ended.
class Interruption {
 public:
  Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption();

  // Ends what the start waits for.
  std::stop_token stop() const { return stop_.get_token(); }
  // Returns the signal that came, or 0.
  int signal() const { return signal_; }
  // Leaves further signals to follow(), which reads them from the returned pipe.
  const Signals& hand_over();
  // Tells that follow() got this signal.
  void came(int number) { signal_ = number; }

 private:
  void watch(const std::stop_token& over);

  Signals signals_;
  std::stop_source stop_;
  std::atomic<int> signal_ = 0;
  std::jthread watcher_;  // the last member, so that its thread ends first
};

}  // namespace bottle::app
