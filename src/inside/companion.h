// What the helper does beside being the agent's parent, each in a thread of PID 1, where the agent's signals do not
// reach.
#pragma once

#include <netinet/in.h>

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle::inside {

// Keeps `path` true about the guard: its first line is "up" or "down". An agent whose connections all fail finds there
// why. Does not return.
void watch_guard(sockaddr_in guard, const std::string& path);

// A unix socket for SSH_AUTH_SOCK, readable by the agent's user only.
Result<UniqueFd> open_agent_socket(const std::string& path);

// Carries each of its connections to the session's ssh-agent, through the guard. Does not return.
void serve_agent_socket(UniqueFd listener, sockaddr_in guard);

}  // namespace bottle::inside
