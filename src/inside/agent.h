// Runs the agent once the gate has opened, and returns the agent's exit status.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "inside/gate/gate.h"

namespace bottle::inside {

inline constexpr const char* kPrivateDirectory = "/run/bottle";
inline constexpr const char* kSystemStore = "/etc/ssl/certs";

// Writes the go message's files, and its CA as `directory`/ca.pem. Writes the CA and the image's own roots into
// ca-bundle.pem, into java-trust.jks, and into `system_store`/ca-certificates.crt if that directory is not empty and
// can be written to. Writes only the CA into the NSS database in the agent's home, if there is none yet.
Result<> write_files(const Go& go, const std::string& directory, const std::string& system_store);

// Runs the agent and returns its exit status: 128+n for signal n, 126 if it cannot be run, 127 if it is not found.
// Blocks while the agent runs. As PID 1, it reaps orphans, and kills the processes that the agent leaves behind.
// `terminal` means that stdin is a terminal, which becomes the agent's controlling terminal. Calls `prepare` after
// the fork, because the caller may start threads only from then on, and before the agent's program begins, because
// the agent could use up the container's limit of threads. If it fails, the program does not run.
Result<int> run_agent(const Go& go, bool terminal, const std::function<Result<>()>& prepare = {});

}  // namespace bottle::inside
