// When a session on another machine is to end, and how long its end may take. The VM's clock goes on while this machine
// sleeps, and whatever its calendar says: `boot` is boot_seconds(). What somebody waits for does not: `awake` are those
// of the steady clock.
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
  // So little is left that its work is fetched while it is there: at the end, reaper and dead-man switch wait for
  // nothing.
  bool vm_is_nearly_over(double boot) const { return vm_ends_ && *vm_ends_ - boot <= last_minutes_; }

  void ask_to_stop(double awake) {
    if (!since_) since_ = awake;
  }
  bool is_stopping() const { return since_.has_value(); }

  // A machine that was taken obeys nobody. So long what stays here may still be used from there (an agent that ends has
  // three seconds) …
  bool grace_is_over(double awake) const { return since_ && awake - *since_ > 20; }
  // … and so long the end may take: a large workspace is written to a disk.
  bool patience_is_over(double awake) const { return since_ && awake - *since_ > 600; }

 private:
  std::optional<double> vm_ends_, since_;
  double last_minutes_ = 0;
};

}  // namespace bottle::remote
