#include "app/world/interruption.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>

#include "app/output/output.h"

namespace bottle::app {
namespace {

constexpr int kLookMs = 100;
constexpr std::chrono::seconds kPatience{10};

}  // namespace

Interruption::Interruption() : watcher_([this](const std::stop_token& over) { watch(over); }) {}

Interruption::~Interruption() = default;

const session::SignalPipe& Interruption::hand_over() {
  watcher_.request_stop();
  if (watcher_.joinable()) watcher_.join();
  return signals_;
}

void Interruption::watch(const std::stop_token& over) {
  auto until = std::chrono::steady_clock::time_point::max();
  while (!over.stop_requested()) {
    pollfd p{signals_.fd(), POLLIN, 0};
    ::poll(&p, 1, kLookMs);
    int number = p.revents ? signals_.next() : 0;
    if (number == SIGWINCH) number = 0;
    if (signal_ && (number || std::chrono::steady_clock::now() > until)) {
      say("bottle: stopped before the agent ran");
      ::_exit(128 + signal_);
    }
    if (!number) continue;
    signal_ = number;
    until = std::chrono::steady_clock::now() + kPatience;
    stop_.request_stop();
  }
}

}  // namespace bottle::app
