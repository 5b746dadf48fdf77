// One session from its ledger's first record to its receipt, on the supervisor's side.
#pragma once

#include "session/console/clients.h"
#include "wire/job.h"

namespace bottle::session {

// Blocks until the session is over and gone; the clients are told everything on the way.
void run(const Job& job, Clients& clients);

}  // namespace bottle::session
