// Starts the process that owns a session (app/roles/supervise.h). It is detached from any terminal, so that the
// launcher may exit and another one may attach.
#pragma once

#include "base/error.h"
#include "base/unique_fd.h"
#include "wire/start/job.h"

namespace bottle::session {

// Holds the descriptors of a channel to another machine (remote/link/far_side.h), and the numbers that they have in the
// supervisor.
struct PassedChannel {
  static constexpr int kIn = 3, kOut = 4;
  int in = -1, out = -1;  // borrowed
};

// Starts a supervisor (this program again, as `bottle supervise`), sends it the job, and returns the launcher's end of
// the connection. If the launcher exits before the agent runs, the supervisor tears the session down; after that it
// continues alone. `channel` belongs to a remote session and is null for a local one.
Result<UniqueFd> start_supervisor(const wire::Job& job, const PassedChannel* channel = nullptr);

}  // namespace bottle::session
