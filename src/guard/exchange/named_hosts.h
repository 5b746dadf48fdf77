// This file judges the hosts that a request names in its parameters. A server that fetches a URL, or passes on a DNS
// question, reaches these hosts for the agent.
#pragma once

#include "guard/connection/connection.h"
#include "guard/exchange/request.h"

namespace bottle::guard {

// Allows the request unless a parameter of its query has a URL that leads to an address that the guard itself never
// connects to, or the request is DNS over HTTPS (RFC 8484, or its JSON form) and its question carries data or cannot be
// read. Names in the rules, and fixed addresses, are allowed.
Verdict judge_named_hosts(Connection& c, const http::Head& head, const Request& request);

// The following functions are pure.

// Returns `text` with its percent escapes decoded. Leaves '+' unchanged.
std::string without_escapes(std::string_view text);

// Returns the host of the URL that `value` begins with, without user and port, or an empty string.
std::string_view host_of_url(std::string_view value);

}  // namespace bottle::guard
