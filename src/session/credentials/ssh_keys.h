// The keys of a plan's ssh hosts: found and unlocked before anything is made, held by an ssh-agent outside of the
// bottle.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/plan.h"
#include "session/credentials/values.h"
#include "sshagent/filter.h"
#include "wire/gate.h"
#include "wire/job.h"

namespace bottle::session {

// For every identity_file of the plan: held by the operator's agent (SSH_AUTH_SOCK) already, or readable with a
// passphrase that is asked for now. Blocking. Errors name the file.
Result<std::vector<SshKey>> find_ssh_keys(const plan::Plan& plan, const std::map<std::string, std::string>& environment,
                                          const Ask& ask);

// What the filter between the bottle and the agents must know.
std::vector<sshagent::Key> filter_keys(const plan::Plan& plan, const std::vector<SshKey>& keys);

// "NAME ssh-ed25519 AAAA…" for every host, by the name the agent uses.
std::string known_hosts(const plan::Plan& plan);

// ~/.ssh/config, known_hosts and the public keys, for the go message.
std::vector<wire::GoFile> ssh_files(const plan::Plan& plan, const std::vector<SshKey>& keys, const std::string& guard);

}  // namespace bottle::session
