// Describes the guard's and the agent's containers for the engine. Every setting that contains the agent is
// here, and the self-test (src/inside) checks from inside the bottle that they work.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "session/box/network.h"
#include "wire/start/job.h"

namespace bottle::session {

// guard_container() describes the guard's container on the egress bridge. Before it starts, it joins the session's
// network as guard_endpoint() describes. All functions here are pure.
nlohmann::json guard_container(const std::string& image, const Labels& labels);
nlohmann::json guard_endpoint(const Subnet& subnet);

// Describes the guard's container on a machine without a network. It is on the session's network only.
nlohmann::json offline_guard_container(const std::string& image, const std::string& network, const Subnet& subnet,
                                       const Labels& labels);

// Describes the agent's container. `host_address` is an address of the host that the self-test expects to be
// unreachable.
nlohmann::json agent_container(const wire::Job& job, const Subnet& subnet, const std::string& host_address,
                               const Labels& labels);

}  // namespace bottle::session
