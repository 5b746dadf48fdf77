// Defines the system calls that the agent and the guard may make (docs/decisions/010-system-calls.md). The
// lists were written from syscalls(2), the kernel's documentation and the description of Docker's default profile
// (docs.docker.com/engine/security/seccomp).
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace bottle::session {

// Returns the profile for the agent's container, and the narrower one for the guard's, in Docker's format. Each
// covers amd64 and arm64, because an engine ignores names that its machine does not have. Pure.
nlohmann::json agent_seccomp();
nlohmann::json guard_seccomp();

// Returns the profile as an entry of HostConfig.SecurityOpt.
std::string seccomp_option(const nlohmann::json& profile);

}  // namespace bottle::session
