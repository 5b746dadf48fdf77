// The local reaper: a small detached process that destroys a VM when its owner is dead or its time is up, whatever else
// was killed. One a VM; it may die itself without harm: the VM's own switch, the provider's limit and the next command
// remain.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "machine/record.h"

namespace bottle::machine {

// Starts `path_to_self reap NAME` in a session of its own with `environment`, and returns once it watches. Before
// `create`.
Result<> start_reaper(const std::string& name, const Places& places, const Environment& environment,
                      const std::string& path_to_self);

// Whether the VM's reaper lives.
bool reaper_alive(const std::string& name, const Places& places);

// What those know who know sessions.
struct Reaping {
  // The owner is dead, the time not up: may fetch what is on it, hold it, destroy it. Whether it may be destroyed now;
  // if not, it is looked at again.
  std::function<bool(const Record&)> before;
  std::function<void(const Record&)> after;  // it is confirmed gone
};

// Its main. Ends when the VM is confirmed gone (by whomever), or another reaper has the VM already. Destroys with
// growing pauses until it is confirmed: for as long as the record is there. `clock` is asked at the begin only: who
// sets it later has no say.
int reap(const std::string& name, const Environment& environment, const Reaping& session,
         const std::function<int64_t()>& clock = now_seconds);

}  // namespace bottle::machine
