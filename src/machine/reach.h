// Makes the first ssh connections to a new VM: it replaces the first host key, and waits for the engine.
#pragma once

#include <stop_token>
#include <string>

#include "base/error.h"
#include "machine/provider/hook.h"
#include "ssh/target.h"

namespace bottle::machine {

// Waits until sshd answers with the key in target.known_hosts. Then has the VM make a new key, which replaces the old
// one in known_hosts, so that the key in the user-data becomes useless. Returns the seconds until sshd answered. Fails
// with Code::denied if something answered with another key or our key is refused, and with Code::unavailable if nothing
// answered in time. A stop ends it with Code::canceled.
Result<double> rotate_host_key(const ssh::Target& target, int timeout_ms, const Progress& progress,
                               const std::stop_token& stop = {});

// Waits for the VM's container engine. Returns its version, "missing" or "silent". A stop ends it with Code::canceled.
Result<std::string> ask_engine(const ssh::Target& target, int timeout_ms, const std::stop_token& stop = {});

}  // namespace bottle::machine
