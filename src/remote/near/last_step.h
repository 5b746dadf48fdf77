// Runs the last steps of a session, which may take minutes, while the near side's loop goes on to serve its clients.
#pragma once

#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/future.h"
#include "remote/near/state/session_state.h"

namespace bottle::remote {

// Runs one step at a time on a thread. The destructor waits for it, so declare this object after everything that a step
// uses.
class LastStep {
 public:
  // Begins a step, which returns the input to which it leads. No other step may be under way.
  void begin(std::function<Input()> step) { step_ = std::async(std::launch::async, std::move(step)); }
  bool is_under_way() const { return step_.valid(); }
  // Returns the input once the step has ended, and an empty value before that.
  std::optional<Input> result() {
    if (!step_.valid() || !is_ready(step_)) return std::nullopt;
    return step_.get();
  }

  // Tells the operator what the step does. For its thread.
  void say(const std::string& line) {
    std::lock_guard lock(mutex_);
    lines_.push_back(line);
  }
  // Returns the lines since the last call.
  std::vector<std::string> said() {
    std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
  std::future<Input> step_;
};

}  // namespace bottle::remote
