// Connects to a session's supervisor, even if the supervisor has died and the session continues on a remote machine.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/directories.h"
#include "base/progress.h"
#include "base/unique_fd.h"

namespace bottle::app {

// Says how to join. The defaults are those of a program without a terminal.
struct JoinOptions {
  bool interactive = false;  // ssh may ask questions
  bool stop = false;         // the session should end
  // Receives a line for the operator about what this waits for, or what the session continues without.
  Progress progress = [](const std::string&) {};
};

// Returns a connection to the session's supervisor, which the caller closes. If the supervisor of a session on a
// remote machine is dead, starts a new one first. For that, finds or asks again for everything that stays on this
// machine: secrets, ssh keys and services. If something cannot be obtained, the session continues without it, which
// is reported with `progress`. If the supervisor lives, connects to the machine for it when ssh may ask. Blocks while
// ssh connects and while the operator is asked. Fails with Code::not_found if there is no such session, or if it has no
// owner and ran on this machine.
Result<UniqueFd> join(const std::string& session, const JoinOptions& options);

// Returns the sessions on remote machines whose supervisor on this machine is dead, except those whose VM was still
// being made (app/place/rescue.h).
Result<std::vector<std::string>> unattended(const Directories& directories);

}  // namespace bottle::app
