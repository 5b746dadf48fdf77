// The time in which the agent works: bytes between it and the clients, the guard's audit, a guard that dies.
#pragma once

#include <nlohmann/json.hpp>

#include "session/console/clients.h"
#include "session/launch.h"

namespace bottle::session {

// Blocks until the agent's container ends. The agent's exit status; what was allowed and denied is added to `result`.
int watch(docker::Engine& engine, const Job& job, Running& running, Clients& clients, nlohmann::json& result);

}  // namespace bottle::session
