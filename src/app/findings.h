// What speaks for and against a machine, by code: for `bottle remote check`, and before a start.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/finding.h"
#include "base/error.h"
#include "session/near/far_side.h"

namespace bottle::app {

// From a far side's hello. `local_routes` as in a hello: the networks that this machine is in. `now_ms`: this machine's clock.
std::vector<Finding> judge(const nlohmann::json& hello, const std::string& name, const nlohmann::json& local_routes, int64_t now_ms);
// The same with this machine's own routes and clock.
std::vector<Finding> remote_findings(const nlohmann::json& hello, const std::string& name);

// How to reach user@host[:port] from here.
Result<session::Far> far_to(const std::string& target);

}  // namespace bottle::app
