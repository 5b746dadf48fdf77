// Makes it possible to stop a launch at any moment. The launch runs on separate threads, while the session's thread
// serves the clients and handles a stop, the launcher's death, and SIGTERM. The same code serves them while the session
// ends.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/os/wakeup.h"
#include "session/console/clients.h"
#include "wire/start/job.h"

namespace bottle::session {

// Says what became of a launch. A stop and the opening of the gate exclude each other: the first of them decides, and
// nothing changes that decision later.
enum class LaunchState : uint8_t {
  undecided,
  stopped,  // the agent will not run
  claimed,  // the gate opens, and the agent may run
};
enum class LaunchEvent : uint8_t { stop, claim };

// Returns the state after an event. Pure.
constexpr LaunchState after(LaunchState state, LaunchEvent event) {
  if (state != LaunchState::undecided) return state;
  switch (event) {
    case LaunchEvent::stop:
      return LaunchState::stopped;
    case LaunchEvent::claim:
      return LaunchState::claimed;
  }
}

// Connects one launch with the clients of its supervisor. The session's thread makes it and calls serve() for each step
// that can be stopped; the launch's threads use the functions that are marked below.
class LaunchControl {
 public:
  // `values` are the values that have already arrived. If `more` is true, others will arrive in a frame.
  LaunchControl(Clients& clients, wire::Values values, bool more);

  // Runs `work` on a separate thread and serves the clients until it returns. Returns what `work` returns, or, if the
  // launch was stopped before the gate opened, the reason with Code::canceled.
  Result<> serve(const std::function<Result<>()>& work);

  // Returns the frames that came during the launch and that only a running session can handle, in their order.
  std::vector<wire::Frame> take_early() { return std::move(early_); }

  // The launch calls the functions below, from any of its threads.

  // Tells the clients about a step. Does not block.
  void show(const std::string& step);
  // Returns the token that ends every wait of the launch.
  std::stop_token stop() const { return stop_.get_token(); }
  // Fails with Code::canceled if the launch is stopped.
  Result<> check() const;
  // Returns the values. Blocks until they have arrived, for at most two minutes.
  Result<wire::Values> await_values();
  // Call it before opening the gate. Fails with Code::canceled if the launch is stopped. A later stop is among the
  // frames of take_early(), because the agent may run by then.
  Result<> claim_gate();

 private:
  void listen_once();
  void take(const wire::Frame& frame);
  void take_values(const wire::Frame& frame);
  bool request_stop(const char* why);  // false if the gate is claimed
  void show_steps();
  void wake() const;
  Result<> not_stopped() const;

  Clients& clients_;
  mutable Wakeup wakeup_;  // ends the wait of serve()
  std::stop_source stop_;
  std::vector<wire::Frame> early_;
  size_t early_bytes_ = 0;

  mutable std::mutex mutex_;  // protects the members below
  std::condition_variable values_came_;
  LaunchState state_ = LaunchState::undecided;
  std::string why_stopped_;
  std::vector<std::string> steps_;              // not shown yet
  wire::Values first_;                          // the values that came before the others
  std::optional<Result<wire::Values>> values_;  // all of them; empty until they have come
};

}  // namespace bottle::session
