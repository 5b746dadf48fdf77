// When a session on another machine must end, and how long it may take to do so. A VM's clock runs on while this
// machine sleeps, and does not follow its calendar: `boot` is boot_seconds(). A person's patience does not run while
// the machine sleeps: `awake` is seconds of the steady clock.
#pragma once

#include <algorithm>
#include <optional>

namespace bottle::remote {

class Deadlines {
 public:
  // The VM is destroyed at `end`, `ttl` seconds after it was made.
  void vm_ends_at(double end, double ttl) {
    vm_ends_ = end;
    last_minutes_ = std::clamp(ttl / 10, 5.0, 120.0);
  }
  // The time left is needed to fetch the work: when the VM's time is up, neither its reaper nor the VM itself waits.
  bool vm_is_nearly_over(double boot) const { return vm_ends_ && *vm_ends_ - boot <= last_minutes_; }

  void ask_to_stop(double awake) {
    if (!since_) since_ = awake;
  }
  bool is_stopping() const { return since_.has_value(); }

  // A hostile machine does not stop when it is told to. An agent that ends has three seconds, so until this the machine
  // may still use what stays on this one …
  bool grace_is_over(double awake) const { return since_ && awake - *since_ > 20; }
  // … and until this we wait for its result: it may have a large workspace to write to its disk.
  bool patience_is_over(double awake) const { return since_ && awake - *since_ > 600; }

  bool operator==(const Deadlines&) const = default;

 private:
  std::optional<double> vm_ends_, since_;
  double last_minutes_ = 0;
};

}  // namespace bottle::remote
