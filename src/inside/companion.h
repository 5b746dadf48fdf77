// Does the helper's background work. Each part runs in a thread of PID 1, which the agent cannot signal.
#pragma once

#include <netinet/in.h>

#include <functional>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle::inside {

// Runs `work` in a new thread. Returns false if there is none, because the container has reached its limit.
bool start_thread(std::move_only_function<void()> work);

// Writes to `path` whether the guard answers. The file's first line is "up" or "down", so that an agent whose
// connections all fail can find out why. Does not return.
void watch_guard(sockaddr_in guard, const std::string& path);

// Opens a listening Unix socket for SSH_AUTH_SOCK that only the agent's user may use.
Result<UniqueFd> open_agent_socket(const std::string& path);

// Connects each client of `listener` to the session's ssh-agent, through the guard. Closes a client's connection if too
// many are open or no thread can be started for it. Does not return.
void serve_agent_socket(UniqueFd listener, sockaddr_in guard);

}  // namespace bottle::inside
