// Runs one session, from its ledger's first record to its receipt, in the supervisor.
#pragma once

#include <chrono>

#include "docker/engine.h"
#include "session/console/clients.h"
#include "wire/start/job.h"

namespace bottle::session {

// Blocks until the session is over and removed. Sends events to the clients. `connect` connects to the engine that the
// job names. Input that waits for `input_patience` while the agent reads hardly any is dropped (agent/agent_input.h).
void run(const wire::Job& job, Clients& clients, const docker::Connect& connect,
         std::chrono::milliseconds input_patience = std::chrono::seconds(5));

}  // namespace bottle::session
