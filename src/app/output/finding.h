// Shows findings to people and programs.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "base/finding.h"

namespace bottle::app {

// Returns {"code":…,"severity":"ok|warn|fail","what":…,"todo":…}.
nlohmann::json to_json(const Finding& finding);

// Prints the findings for people, or as {"ok":…,"findings":[…]}. Returns the exit status: 1 if one of them is a
// failure, otherwise 0.
int print_findings(const std::vector<Finding>& findings, bool json);

}  // namespace bottle::app
