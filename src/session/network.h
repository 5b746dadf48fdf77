// The two networks: one that leads nowhere, per session, and one for all guards.
#pragma once

#include <string>

#include "base/error.h"
#include "docker/engine.h"
#include "session/ledger.h"

namespace bottle::session {

struct Subnet {
  std::string cidr, gateway, guard, agent;
};

// The n-th /28 of the range `base` (a.b.0.0/16): .1 gateway (nobody), .2 guard, .3 agent.
Subnet subnet_at(const std::string& base, unsigned n);

// Creates the session's internal network without a host address, in a free subnet of our own range that no route of
// the host covers. Retries on collision with others that start at the same time. Blocking.
Result<Subnet> make_internal_network(docker::Engine& engine, const std::string& name, const nlohmann::json& labels);

// Creates the shared egress bridge if it is not there. Its gateway address, which is the host's. Blocking.
Result<std::string> ensure_egress_network(docker::Engine& engine);

}  // namespace bottle::session
