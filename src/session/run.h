// This file runs one session, from its ledger's first record to its receipt, in the supervisor.
#pragma once

#include "session/console/clients.h"
#include "wire/start/job.h"

namespace bottle::session {

// Blocks until the session is over and removed. Tells the clients everything that happens.
void run(const Job& job, Clients& clients);

}  // namespace bottle::session
