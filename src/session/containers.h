// What the engine is asked for: the guard's container and the agent's. The containment is here, line by line; the self-test
// (src/inside) asks from the inside whether it holds.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "session/job.h"
#include "session/network.h"

namespace bottle::session {

nlohmann::json guard_container(const std::string& image, const nlohmann::json& labels);

// `egress_gateway`: an address of the host that the self-test is to find unreachable.
nlohmann::json agent_container(const Job& job, const Subnet& subnet, const std::string& egress_gateway, const nlohmann::json& labels);

}  // namespace bottle::session
