// Runs the near side of a session on another machine. It sends the job, passes the terminal through, and
// brings the work home.
#pragma once

#include <optional>

#include "remote/link/far_side.h"
#include "session/console/clients.h"
#include "wire/start/job.h"

namespace bottle::remote {

using session::Clients, wire::Job;

// Blocks until the session is over and its clients know how it ended. A connection that breaks while the agent runs is
// made again, however long that takes. `channel` was begun by the launcher. It is empty for a session that is adopted,
// and for one whose VM is still to be made.
void run_near_side(const Job& job, Clients& clients, std::optional<Channel> channel);

}  // namespace bottle::remote
