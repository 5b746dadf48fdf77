// Implements the local reaper, a small detached process that destroys a VM when its owner is dead or it has expired, no
// matter what else was killed. A kept VM outlives its owner, but the work on it comes home all the same. Each VM has
// one. If the reaper itself dies, the VM's dead-man switch, the provider's limit and the next command still end the VM.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/error.h"
#include "machine/record.h"

namespace bottle::machine {

// Starts `path_to_self reap NAME` in its own process session with `environment`, and returns once it watches. Call it
// before `create`.
Result<> start_reaper(const std::string& name, const Directories& directories, const Environment& environment,
                      const std::string& path_to_self);

// Returns whether the VM's reaper lives.
bool reaper_alive(const std::string& name, const Directories& directories);

// Holds the callbacks with which the code for sessions helps the reaper.
struct Reaping {
  // Called when the owner is dead and the time is not up, or was up when the reaper began; for a held VM, only then and
  // once. It may fetch what is on the VM, hold it, or destroy it. Returns true if nothing on the VM is needed any
  // longer. The reaper then destroys the VM, unless it is kept. After false, the reaper calls this again later.
  std::function<bool(const Record&)> before;
  std::function<void(const Record&)> after;  // called when the VM is confirmed gone
};

// Holds for how many seconds this machine has run, without and with the time in which it slept.
struct Uptime {
  double awake = 0, boot = 0;
};
Uptime uptime_now();

// Holds what the reaper reads and how long it pauses, which tests change.
struct ReaperOptions {
  std::function<int64_t()> clock = now_seconds;
  std::function<Uptime()> uptime = uptime_now;
  std::function<Result<Record>(const std::string& name, const Directories& directories)> load_record = load;
  std::chrono::milliseconds look{5000};   // the most until it reads the record and the clock again
  std::chrono::milliseconds pause{5000};  // after a failure; doubles with each further one
  std::chrono::milliseconds shortest_pause{1000}, longest_pause{300000};
};

// Runs the reaper. Ends when the VM is confirmed gone, no matter which process destroyed it, or if the VM already has
// another reaper. Destroys with growing pauses until this is confirmed, for as long as the record exists. If the
// provider refuses the credentials in `environment`, it gives up the lock during the pauses, so that another process
// can start a reaper with other credentials, and ends if one has started and lives. The clock is read only at the
// beginning, so that setting it later has no effect; only if the time of a VM was up by then, the VM gets ten more
// minutes, in which `before` is called and the clock is read again and again. A VM whose time ran out while this
// machine slept also gets ten more minutes: a VM on this machine slept, too, and its session must still fetch the work.
int reap(const std::string& name, const Environment& environment, const Reaping& session,
         const ReaperOptions& options = {});

}  // namespace bottle::machine
