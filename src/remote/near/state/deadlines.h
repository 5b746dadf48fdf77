// Decides when a session on another machine must end, and how long it may take to do so. A VM's clock runs on while
// this machine sleeps, and it does not follow this machine's calendar, so `boot` is boot_seconds(). Waits of a person
// do not count while this machine sleeps, so `awake` is in seconds of the steady clock.
#pragma once

#include <algorithm>
#include <optional>

namespace bottle::remote {

// Holds the deadlines of one session. All functions are pure; the caller passes the time.
class Deadlines {
 public:
  // Sets the time at which the VM will be destroyed: `end`, which is `ttl` seconds after it was made.
  void vm_ends_at(double end, double ttl) {
    vm_ends_ = end;
    last_minutes_ = std::clamp(ttl / 10, 5.0, 120.0);
  }
  // Returns whether the remaining time is needed to fetch the work. When the VM expires, neither its reaper nor the VM
  // waits for that.
  bool vm_is_nearly_over(double boot) const { return vm_ends_ && *vm_ends_ - boot <= last_minutes_; }

  // Notes that the session should end, from `awake` on. A later call changes nothing.
  void ask_to_stop(double awake) {
    if (!since_) since_ = awake;
  }
  // Returns whether the session should end.
  bool is_stopping() const { return since_.has_value(); }

  // Returns whether the far machine must no longer use what stays on this one. An agent that is stopped gets three
  // seconds to end, but a hostile machine does not stop when it is told to.
  bool grace_is_over(double awake) const { return since_ && awake - *since_ > 20; }
  // Returns whether to stop waiting for the machine's result. The time is long, because the machine may have to write a
  // large workspace to its disk.
  bool patience_is_over(double awake) const { return since_ && awake - *since_ > 600; }

  bool operator==(const Deadlines&) const = default;

 private:
  std::optional<double> vm_ends_, since_;
  double last_minutes_ = 0;
};

}  // namespace bottle::remote
