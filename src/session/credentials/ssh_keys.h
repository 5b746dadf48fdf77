// Finds and unlocks the keys of a plan's ssh hosts before anything is created. An ssh-agent outside the
// bottle holds them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "plan/plan.h"
#include "session/credentials/values.h"
#include "sshagent/filter.h"
#include "wire/gate/gate.h"
#include "wire/start/job.h"

namespace bottle::session {

// Finds every identity_file of the plan. Either the operator's ssh-agent (SSH_AUTH_SOCK) already holds it, or the file
// is read, and the operator is asked for its passphrase if it has one. An ssh-agent that confirms hosts without
// verifying their signatures is not used, and `progress` says so. Blocks. Errors name the file. `on_missing` is asked
// about each key.
Result<std::vector<wire::SshKey>> find_ssh_keys(const plan::Plan& plan,
                                                const std::map<std::string, std::string>& environment, const Ask& ask,
                                                const Progress& progress,
                                                const OnMissing& on_missing = fail_if_missing);

// Returns whether no other ssh-agent holds one of the keys, so that the session needs its own ssh-agent. Pure.
bool needs_own_agent(const std::vector<wire::SshKey>& keys);

// Returns the keys for the filter between the bottle and the ssh-agents, each with the hosts that it may log in to. A
// host whose own key is not known is left out. Pure.
std::vector<sshagent::Key> filter_keys(const plan::Plan& plan, const std::vector<wire::SshKey>& keys);

// Returns a line "NAME ssh-ed25519 AAAA…" for every host, with the name that the agent uses. Pure.
std::string known_hosts(const plan::Plan& plan);

// Returns ~/.ssh/config, known_hosts and the public keys for the go message. `guard` is the guard's ip:port, through
// which every connection goes. Pure.
std::vector<wire::GoFile> ssh_files(const plan::Plan& plan, const std::vector<wire::SshKey>& keys,
                                    const std::string& guard);

}  // namespace bottle::session
