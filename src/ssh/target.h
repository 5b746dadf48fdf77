// Whom to speak to, as the system's ssh understands it.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace bottle::ssh {

// The operator's own configuration (~/.ssh/config: ProxyJump, agent, keys, aliases) counts for what is left empty.
struct Target {
  std::string user, host;
  uint16_t port = 0;
  // For a machine made for a session: its own files instead of the operator's, so that nothing of it stays.
  std::string known_hosts;  // path; checked strictly. With an alias the file holds the bare alias, no port
  std::string host_key_alias;
  std::string identity;  // path of a private key, the only one that is offered

  std::string to_string() const;  // user@host:port, for people
};

// user@host[:port], host, ssh://user@host[:port], [v6]:port. Refuses what ssh would read as an option.
Result<Target> parse_target(const std::string& text);

}  // namespace bottle::ssh
