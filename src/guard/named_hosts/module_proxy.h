// Judges the names in requests for Go modules, because a module proxy resolves the name that a module's path begins
// with, and fetches the module from there, for the agent.
#pragma once

#include <optional>
#include <string_view>

#include "guard/connection/connection.h"
#include "guard/core/client_error.h"

namespace bottle::guard {

// Refuses the request if its path asks a module proxy or a checksum database for a module whose host carries data.
// Names in the rules are allowed. `target` is in origin form. Source: the "GOPROXY protocol" and "Checksum database"
// sections of the Go Modules Reference.
std::optional<Refused> judge_module_proxy(const Connection& c, std::string_view target);

}  // namespace bottle::guard
