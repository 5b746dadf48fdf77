// Bytes between two ends, and the two ways through the guard that the helper knows: a CONNECT, and the session's
// ssh-agent.
#pragma once

#include <netinet/in.h>

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle::inside {

// Copies both ways until both directions have ended. Blocking; for descriptors of any kind.
void relay(int left_in, int left_out, int right_in, int right_out);

// The exit status of `inside connect GUARD HOST PORT`, an ssh ProxyCommand: a tunnel on stdin and stdout.
int connect_command(const std::string& guard, const std::string& host, const std::string& port);

// A connection to the guard after `request` was answered with `status` (bytes behind the answer's head are in `early`).
Result<UniqueFd> through_guard(const sockaddr_in& guard, const std::string& request, int status, std::string& early);

}  // namespace bottle::inside
