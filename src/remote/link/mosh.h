// Uses mosh for typing. Its server runs on the other machine and is started over our verified connection; its
// client runs on a pty that we make. The session is still supervised over ssh. mosh carries only the terminal, and
// predicts locally what a keystroke will show.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "remote/link/far_side.h"
#include "remote/link/mosh_connect.h"
#include "session/console/client.h"

namespace bottle::remote {

using session::Typing;

// Holds the operator's options for mosh.
struct MoshOptions {
  std::string ports;  // PORT or PORT:PORT, UDP ports on the other machine; if empty, mosh's own 60000:61000
};

// Fails with Code::invalid if `ports` is not valid, and with Code::not_found if mosh-client cannot be run on this
// machine.
Result<> check_mosh(const MoshOptions& options);

// Starts mosh for the session with this name and id (wire::Job::id). Blocks for two round trips. Fails with
// Code::not_found if the machine has no mosh-server, and with Code::unavailable if the machine is reached through
// another one, because mosh's UDP cannot pass through it.
Result<std::unique_ptr<Typing>> start_mosh(FarSide& far, const std::string& session, const std::string& id,
                                           const MoshOptions& options);

}  // namespace bottle::remote
