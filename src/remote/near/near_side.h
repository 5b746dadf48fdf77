// One session on another machine, on this side: the job goes there, the terminal passes through, the work comes home.
#pragma once

#include <optional>

#include "remote/link/far_side.h"
#include "session/console/clients.h"
#include "wire/job.h"

namespace bottle::remote {

using session::Clients, session::Job;

// Blocks until the session is over, its work is here and nothing of it is there; the clients are told everything on the
// way. A connection that breaks once the agent runs is made again, for as long as it takes. Without a channel (adopt)
// it begins by connecting.
void run_near_side(const Job& job, Clients& clients, std::optional<Channel> channel);

}  // namespace bottle::remote
