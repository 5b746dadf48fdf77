// Connects through the guard in the two ways that the helper needs, with a CONNECT request and to the session's
// ssh-agent, and copies bytes between the connection and a local end.
#pragma once

#include <netinet/in.h>

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle::inside {

// Copies in both directions until both have ended. Blocks. The descriptors may be of any kind.
void copy_both_ways(int left_in, int left_out, int right_in, int right_out);

// Runs `inside connect GUARD HOST PORT`, an ssh ProxyCommand that tunnels stdin and stdout. Returns its exit status.
int connect_command(const std::string& guard, const std::string& host, const std::string& port);

// Connects to the guard, sends `request`, and fails unless the status of the answer is `status`. Bytes that follow the
// head of the answer are put into `early`.
Result<UniqueFd> through_guard(const sockaddr_in& guard, const std::string& request, int status, std::string& early);

}  // namespace bottle::inside
