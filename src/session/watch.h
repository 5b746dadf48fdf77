// Runs a session while the agent works: passes bytes between the agent and the clients, records the guard's audit,
// and restarts a guard that dies.
#pragma once

#include <chrono>

#include "session/console/clients.h"
#include "session/launch.h"
#include "wire/result.h"

namespace bottle::session {

// Blocks until the agent's container ends. Adds the agent's exit status, and what was allowed and denied, to `result`.
// `early` contains the frames that came during the launch; they are handled first. `input_patience` is as for
// AgentInput. Takes the ssh-agent out of `running`, and replaces the guard in it after a restart. Fails if the agent
// may still run although its stream has ended and the engine was asked to stop it; `result` is complete then, too.
Result<> watch(docker::Engine& engine, const wire::Job& job, Running& running, Clients& clients,
               const std::vector<wire::Frame>& early, std::chrono::milliseconds input_patience,
               wire::SessionResult& result);

}  // namespace bottle::session
