// Writes the text that tells cloud-init what to do on a new VM. Every program on the VM can read it. The only secret in
// it is the first host key, which is replaced over the first connection.
#pragma once

#include <cstdint>
#include <string>

namespace bottle::machine {

// Holds what differs from VM to VM.
struct UserData {
  std::string name;                       // the VM's host name
  std::string public_key;                 // the only key that may sign in, as user `bottle`
  std::string host_private, host_public;  // the first host key, ed25519
  int64_t ttl = 0, idle = 0;              // in seconds, for the dead-man switch
};

// Returns a cloud-config document in JSON, which is also YAML.
std::string user_data(const UserData& data);

}  // namespace bottle::machine
