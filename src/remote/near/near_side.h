// One session on another machine, on this side: the job goes there, the terminal passes through, the work comes home.
#pragma once

#include <optional>

#include "remote/link/far_side.h"
#include "session/console/clients.h"
#include "wire/job.h"

namespace bottle::remote {

using session::Clients, session::Job;

// Blocks until the session is over and its clients know how it ended. A connection that breaks while the agent runs is
// made again, for as long as that takes. `channel`: the launcher began it; null for a session that is adopted, and for
// one on a VM that is still to be made.
void run_near_side(const Job& job, Clients& clients, std::optional<Channel> channel);

}  // namespace bottle::remote
