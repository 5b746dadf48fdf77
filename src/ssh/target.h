// Defines the destination of an ssh connection, in the terms of the system's ssh.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace bottle::ssh {

// Names a machine. The operator's own configuration (~/.ssh/config: ProxyJump, agent, keys, aliases) applies to all
// fields that are empty.
struct Target {
  std::string user, host;
  uint16_t port = 0;
  // For a VM that was made for a session, these files replace the operator's, so that the VM leaves no traces in
  // those.
  std::string known_hosts;  // path; checked strictly. With an alias, the file contains the alias without a port
  std::string host_key_alias;
  std::string identity;  // path of the only private key that is offered

  std::string to_string() const;  // user@host:port, for messages
  std::string command() const;    // ssh -p port user@host, for a shell
};

// Parses user@host[:port], host, ssh://user@host[:port] or [v6]:port. Refuses text that ssh would read as an option.
Result<Target> parse_target(const std::string& text);

}  // namespace bottle::ssh
