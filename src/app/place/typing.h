// Says what carries the terminal's keystrokes to an agent on another machine: the session's own connection, or mosh.
#pragma once

#include <string>

#include "base/error.h"
#include "base/progress.h"
#include "remote/link/far_side.h"
#include "remote/link/mosh.h"
#include "session/console/client.h"

namespace bottle::app {

// Says what carries the terminal's keystrokes.
struct Transport {
  std::string name = "ssh";  // "ssh" or "mosh"
  remote::MoshOptions mosh;
  // Returns whether mosh carries the keystrokes.
  bool is_mosh() const { return name == "mosh"; }
};
// Fails if the transport cannot be used: its name must be known, its ports valid, and its client installed.
Result<> check(const Transport& transport);
// Returns a mosh for that session. If that is not possible, reports why with `progress` and returns null.
session::BeginTyping mosh_typing(remote::FarSide far, const std::string& session, const Transport& transport,
                                 const Progress& progress);

// Does the same for a session whose record says where it is. The returned function reads the record when it is called.
session::BeginTyping recorded_typing(const std::string& session, const Transport& transport, const Progress& progress);

}  // namespace bottle::app
