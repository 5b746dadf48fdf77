// Judges the hosts that a request names in its parameters, because a server that fetches a URL or forwards a DNS
// query reaches these hosts for the agent.
#pragma once

#include "guard/connection/connection.h"
#include "guard/exchange/request.h"

namespace bottle::guard {

// Refuses the request if a parameter of its query, or a segment of its path, has a URL that leads to an address that
// the guard itself never connects to, or if the request is DNS over HTTPS (RFC 8484, or its JSON form) and its question
// carries data or cannot be read. Names in the rules, and fixed addresses, are allowed.
std::optional<Refused> judge_named_hosts(Connection& c, const http::Head& head, const Request& request);

}  // namespace bottle::guard
