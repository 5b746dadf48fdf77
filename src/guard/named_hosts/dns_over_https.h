// Judges the names in DNS over HTTPS, because a server that forwards a query sends its name out for the agent.
#pragma once

#include <optional>
#include <string_view>

#include "guard/connection/connection.h"
#include "guard/core/client_error.h"
#include "http/head.h"

namespace bottle::guard {

// Refuses the request if it is DNS over HTTPS (RFC 8484, or its JSON form) and its question carries data or cannot be
// read. Names in the rules are allowed. `target` is in origin form.
std::optional<Refused> judge_dns_over_https(const Connection& c, const http::Head& head, std::string_view target);

}  // namespace bottle::guard
