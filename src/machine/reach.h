// The first minutes with a fresh VM over ssh.
#pragma once

#include <string>

#include "base/error.h"
#include "machine/provider/hook.h"
#include "ssh/target.h"

namespace bottle::machine {

// Waits until sshd answers with the key in target.known_hosts, then has a new key made on the VM and replaces the old
// one by it in known_hosts, so that what the user-data held is worth nothing. Gives the seconds until sshd answered.
// Code::denied: something answered with another key, or our key may not sign in; unavailable: nothing answered in time.
Result<double> rotate_host_key(const ssh::Target& target, int timeout_ms, const Progress& progress);

// Waits for the container engine there: its version, "missing" or "silent".
Result<std::string> ask_engine(const ssh::Target& target, int timeout_ms);

}  // namespace bottle::machine
