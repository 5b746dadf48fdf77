// What cloud-init does on a fresh VM, as text. Whoever is on the VM can read it: nothing in it is secret but the host
// key of the first minute, which is replaced over the first connection.
#pragma once

#include <cstdint>
#include <string>

namespace bottle::machine {

struct UserData {
  std::string name;                       // the VM's host name
  std::string public_key;                 // the one key that may sign in, as user `bottle`
  std::string host_private, host_public;  // the host key of the first minute, ed25519
  int64_t ttl = 0, idle = 0;              // seconds, for the dead-man switch
};

// A cloud-config document; JSON, which is YAML.
std::string user_data(const UserData& data);

}  // namespace bottle::machine
