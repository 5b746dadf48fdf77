// Starts the process that owns a session (app/supervise.h): detached from any terminal, so that a launcher may die and
// another one attach.
#pragma once

#include "base/error.h"
#include "wire/job.h"

namespace bottle::session {

// The descriptors of a channel to another machine (remote/link/far_side.h), and the numbers they have in the
// supervisor.
struct PassedChannel {
  static constexpr int kIn = 3, kOut = 4;
  int in = -1, out = -1;  // borrowed
};

// Starts a supervisor (this program again, as `bottle supervise`), hands it the job, and gives the launcher's end of
// the connection. The supervisor tears the session down when the launcher goes before the agent runs; afterwards it
// goes on without one. `channel`: of a session on another machine; null for a local one.
Result<int> start_supervisor(const Job& job, const PassedChannel* channel = nullptr);

}  // namespace bottle::session
