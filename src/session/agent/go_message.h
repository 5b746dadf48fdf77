// Makes the message that opens the gate: the agent's command, its environment and its files.
#pragma once

#include <string>

#include "session/box/network.h"
#include "wire/gate/gate.h"
#include "wire/start/job.h"

namespace bottle::session {

// Returns the message. `ca` is the certificate of the session's root (PEM), which the agent will trust. `values`
// contains the variables' values; secrets do not go into the message, only their placeholders. Pure.
wire::Go go_message(const wire::Job& job, const wire::Values& values, const std::string& ca, const Subnet& subnet);

}  // namespace bottle::session
