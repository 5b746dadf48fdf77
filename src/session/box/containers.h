// What the engine is asked for: the guard's container and the agent's. The containment is here, line by line; the
// self-test (src/inside) asks from the inside whether it holds.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "session/box/network.h"
#include "wire/job.h"

namespace bottle::session {

// On the egress bridge; it joins the session's network before it starts.
nlohmann::json guard_container(const std::string& image, const nlohmann::json& labels);
nlohmann::json guard_endpoint(const Subnet& subnet);

// Of a machine without a network: it has the session's only.
nlohmann::json offline_guard_container(const std::string& image, const std::string& network, const Subnet& subnet,
                                       const nlohmann::json& labels);

// `host_address`: an address of the host that the self-test is to find unreachable.
nlohmann::json agent_container(const Job& job, const Subnet& subnet, const std::string& host_address,
                               const nlohmann::json& labels);

}  // namespace bottle::session
