// Makes two kinds of networks: one for each session, which leads nowhere, and, if the machine has a network, one that
// all guards share.
#pragma once

#include <string>

#include "base/error.h"
#include "docker/engine.h"
#include "session/ledger/names.h"

namespace bottle::session {

// Describes a session's subnet: the /28 in CIDR notation, and the addresses of its three members.
struct Subnet {
  std::string cidr, gateway, guard, agent;
  bool operator==(const Subnet&) const = default;
};

// Returns the n-th /28 of the range `base` (a.b.0.0/16). Address .1 is the gateway, which no host has; .2 is the guard
// and .3 is the agent.
Subnet subnet_at(const std::string& base, unsigned n);

// Returns a random subnet of bottle's range that no route of the host covers. It is probably free.
Subnet likely_subnet();

// Creates the session's internal network without a host address. Uses `first`, or another subnet if `first` collides
// with sessions that start at the same time. Blocks.
Result<Subnet> make_internal_network(docker::Engine& engine, const std::string& name, const Labels& labels,
                                     Subnet first);

// Returns the gateway of the network that the engine describes. Fails unless that network, whoever made it, can serve
// as the shared egress bridge. Pure.
Result<std::string> egress_gateway(const nlohmann::json& network);

// Creates the shared egress bridge if it does not exist. Returns its gateway address, which is the host's. Blocks.
Result<std::string> ensure_egress_network(docker::Engine& engine);

// Returns the host's address on the default bridge of the engine, or on the egress bridge if the operator disabled the
// default one. Blocks.
Result<std::string> host_address(docker::Engine& engine);

}  // namespace bottle::session
