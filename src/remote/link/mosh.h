// Real mosh for typing: its server on the other machine, started over our verified connection, its client on a pty of
// ours. The session goes on being supervised over ssh; mosh carries the terminal only, and knows when to guess what a
// keystroke will show.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "remote/link/far_side.h"
#include "remote/link/mosh_connect.h"
#include "session/console/client.h"

namespace bottle::remote {

using session::Typing;

struct MoshOptions {
  std::string ports;  // PORT or PORT:PORT, of UDP over there; empty: mosh's own 60000:61000
};

// Code::invalid if `ports` is no such thing, or mosh-client is not here.
Result<> check_mosh(const MoshOptions& options);

// Blocking, two round trips. Code::not_found: no mosh-server there. Code::unavailable: the machine is reached through
// another one, which mosh's UDP cannot.
Result<std::unique_ptr<Typing>> start_mosh(FarSide& far, const std::string& session, const MoshOptions& options);

}  // namespace bottle::remote
