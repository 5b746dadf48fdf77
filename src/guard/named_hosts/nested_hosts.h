// Judges the hosts in the URLs that a request names, because a server that fetches a URL reaches its host for the
// agent.
#pragma once

#include <optional>
#include <string_view>

#include "guard/connection/connection.h"
#include "guard/core/client_error.h"

namespace bottle::guard {

// Refuses the request if a parameter of its query, or a segment of its path, has a URL that leads to an address that
// the guard itself never connects to. Names in the rules, and fixed addresses, are allowed. `target` is in origin form.
std::optional<Refused> judge_nested_hosts(const Connection& c, std::string_view target);

}  // namespace bottle::guard
