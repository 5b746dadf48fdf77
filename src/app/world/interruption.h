// Lets Ctrl-C, SIGTERM and SIGHUP end a start or a build at any moment.
#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

#include "base/os/signals.h"

namespace bottle::app {

// Except between hand_over() and take_back(), a signal requests a stop. If the process has not ended `patience_ms`
// later (-1 means no limit), or when a second signal arrives, this ends it without a cleanup (_exit()). With
// `insisted`, the second signal only shows that text, and the third one ends the process.
class Interruption {
 public:
  // `what` is the message for that case.
  explicit Interruption(const char* what = "stopped before the agent ran", int patience_ms = 10000,
                        const char* insisted = nullptr);
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption();

  // Returns the token that ends whatever the start waits for.
  std::stop_token stop() const { return stop_.get_token(); }
  // Returns the signal that arrived, or 0.
  int signal() const { return signal_; }
  // Leaves further signals to follow(), which gets them from the returned object.
  const Signals& hand_over();
  // Watches for signals again after hand_over(). A signal that follow() received has requested a stop, too.
  void take_back();
  // Notes a signal that follow() received.
  void note_signal(int number) { signal_ = number; }

 private:
  void watch(const std::stop_token& over);

  const char *what_, *insisted_;
  int patience_ms_;
  Signals signals_;
  std::stop_source stop_;
  std::atomic<int> signal_ = 0;
  std::jthread watcher_;  // the last member, so that its thread ends first
};

}  // namespace bottle::app
