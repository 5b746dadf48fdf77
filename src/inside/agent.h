// From go to the agent's exit status.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "inside/gate.h"

namespace bottle::inside {

inline constexpr const char* kPrivateDirectory = "/run/bottle";
inline constexpr const char* kSystemStore = "/etc/ssl/certs";

// Writes the go message's files, and its CA as `directory`/ca.pem. With the image's own roots it goes into
// ca-bundle.pem, into java-trust.jks, and into `system_store`/ca-certificates.crt if that directory can be written to
// (empty: none).
Result<> write_files(const Go& go, const std::string& directory, const std::string& system_store);

// Runs the agent as the parent of everything and returns its exit status (128+n for a signal; 126/127 when it cannot be
// run or is not found). Blocks as long as the agent runs; what it leaves behind is killed if we are PID 1.
// `terminal`: stdin is one, and becomes the agent's controlling terminal. `started` is called once it has been forked:
// threads may be made from there on.
Result<int> run_agent(const Go& go, bool terminal, const std::function<void()>& started = {});

}  // namespace bottle::inside
