// The two networks: one that leads nowhere, per session, and one for all guards, where the machine has a network at
// all.
#pragma once

#include <string>

#include "base/error.h"
#include "docker/engine.h"
#include "session/ledger/ledger.h"

namespace bottle::session {

struct Subnet {
  std::string cidr, gateway, guard, agent;
  bool operator==(const Subnet&) const = default;
};

// The n-th /28 of the range `base` (a.b.0.0/16): .1 gateway (nobody), .2 guard, .3 agent.
Subnet subnet_at(const std::string& base, unsigned n);

// A subnet of our own range that no route of the host covers, by chance: probably free.
Subnet likely_subnet();

// Creates the session's internal network without a host address: with `first`, or, where that collides with others that
// start at the same time, in another subnet. Blocking.
Result<Subnet> make_internal_network(docker::Engine& engine, const std::string& name, const nlohmann::json& labels,
                                     Subnet first);

// Whether a network that the engine describes can be the shared egress bridge, whoever made it: its gateway. Pure.
Result<std::string> egress_gateway(const nlohmann::json& network);

// Creates the shared egress bridge if it is not there. Its gateway address, which is the host's. Blocking.
Result<std::string> ensure_egress_network(docker::Engine& engine);

// The host's address on the bridge that every engine has, or, where the operator took that away, on the egress bridge.
// Blocking.
Result<std::string> host_address(docker::Engine& engine);

}  // namespace bottle::session
