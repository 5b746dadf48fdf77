// This file judges the hosts that a request names in its parameters: a server that fetches a URL, or answers a question
// to a name server, reaches them for the agent.
#pragma once

#include "guard/connection/connection.h"
#include "guard/exchange/request.h"

namespace bottle::guard {

// Returns a verdict with `allowed` unless a parameter of the query has a URL that leads to an address which the guard
// itself never connects to, or the request is DNS over HTTPS (RFC 8484, or its JSON form) whose question carries data
// or cannot be read. Names that the rules name, and fixed addresses, are allowed.
Verdict judge_named_hosts(Connection& c, const http::Head& head, const Request& request);

// The following functions are pure.

// Returns `text` with its percent escapes decoded, and '+' as it is.
std::string without_escapes(std::string_view text);

// Returns the host of the URL that `value` begins with, without user and port, or an empty string.
std::string_view host_of_url(std::string_view value);

}  // namespace bottle::guard
