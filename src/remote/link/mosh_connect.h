// How a mosh-server is reached, from its own words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::remote {

// What a mosh-server says when it has started.
struct MoshConnect {
  uint16_t port = 0;
  std::string key;             // for mosh-client's environment, and nowhere else
  std::string server_address;  // as sshd over there saw itself; empty if it did not say
};
// Strict: the machine over there may have been taken. Exposed for tests.
Result<MoshConnect> parse_mosh_connect(const std::string& text);

// Whether a machine that has the addresses `ours` here and calls itself `theirs` is behind a forwarded port of this
// machine, as a QEMU VM is: there is no way for UDP.
bool is_forwarded(const std::vector<std::string>& ours, const std::string& theirs);

// Whether `text` is a number of decimal digits only, within the limits (which are below 100000).
bool is_number(const std::string& text, long least, long most);

}  // namespace bottle::remote
