// The time in which the agent works: bytes between it and the clients, the guard's audit, a guard that dies.
#pragma once

#include "session/console/clients.h"
#include "session/launch.h"
#include "wire/result.h"

namespace bottle::session {

// Blocks until the agent's container ends. Adds to `result` the agent's status, and what was allowed and denied.
void watch(docker::Engine& engine, const Job& job, Running& running, Clients& clients, wire::SessionResult& result);

}  // namespace bottle::session
