// Waits for signals in a separate thread, while the main thread may be blocked in any step of a start. The thread
// only requests a stop; if the step does not end in time, it ends the process.
#include "app/world/interruption.h"

#include <unistd.h>

#include <utility>

#include "app/output/output.h"
#include "base/os/poller.h"
#include "session/console/client.h"

namespace bottle::app {

Interruption::Interruption(const char* what, int patience_ms, const char* insisted)
    : what_(what),
      insisted_(insisted),
      patience_ms_(patience_ms),
      signals_(session::kLauncherSignals, Signals::Nohup::respected),
      watcher_([this](const std::stop_token& over) { watch(over); }) {}

Interruption::~Interruption() { hand_over(); }

const Signals& Interruption::hand_over() {
  watcher_.request_stop();
  signals_.wake();
  if (watcher_.joinable()) watcher_.join();
  return signals_;
}

void Interruption::take_back() {
  hand_over();
  if (signal_) stop_.request_stop();
  watcher_ = std::jthread([this](const std::stop_token& over) { watch(over); });
}

// Runs in a separate thread. The first signal requests a stop. The second or third one, or ten seconds without an end,
// exits.
void Interruption::watch(const std::stop_token& over) {
  const char* told = insisted_;
  while (signals_.fd() >= 0 && !over.stop_requested()) {
    bool late = !wait_readable(signals_.fd(), signal_ ? patience_ms_ : -1);
    int number = signals_.next().value_or(0);
    // The size of the terminal is read when the agent runs.
    if (number == SIGWINCH) continue;
    if (signal_ && number && told) {
      say(std::string("bottle: ") + std::exchange(told, nullptr));
    } else if (signal_ && (number || late)) {
      say(std::string("bottle: ") + what_);
      // The command did not react in time, or the operator insists. Everything that a start made is in a ledger, a
      // grave or the directory of a build, and the next start removes it. A VM has a reaper.
      ::_exit(128 + signal_);
    }
    if (!number) continue;
    signal_ = number;
    stop_.request_stop();
  }
}

}  // namespace bottle::app
