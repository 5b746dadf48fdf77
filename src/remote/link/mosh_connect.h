// Reads from a mosh-server's output how to reach it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::remote {

// Holds the report of a mosh-server that has started.
struct MoshConnect {
  uint16_t port = 0;
  std::string key;             // only for mosh-client's environment
  std::string server_address;  // the address as that machine's sshd saw it; empty if it was not reported
};
// Parses the output strictly, because the agent may have taken over that machine. Exposed for tests.
Result<MoshConnect> parse_mosh_connect(const std::string& text);

// Returns whether the machine is behind a forwarded port of this machine, as a QEMU VM is, so that UDP cannot reach it.
// `ours` are the machine's addresses as the near side sees them, `theirs` is the address that it reports.
bool is_forwarded(const std::vector<std::string>& ours, const std::string& theirs);

}  // namespace bottle::remote
