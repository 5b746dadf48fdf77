// The system calls that agent and guard may make (docs/decisions/010-system-calls.md). Written from syscalls(2), the
// kernel's documentation and the description of Docker's default profile (docs.docker.com/engine/security/seccomp).
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace bottle::session {

// The profile for the agent's container, and a narrower one for the guard's, in Docker's format. Each is for amd64 and
// arm64, because an engine leaves out the names that its machine does not have. Pure.
nlohmann::json agent_seccomp();
nlohmann::json guard_seccomp();

// As an entry of HostConfig.SecurityOpt.
std::string seccomp_option(const nlohmann::json& profile);

}  // namespace bottle::session
