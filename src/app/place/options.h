// Holds what the options of `bottle start` say about a remote machine or a VM.
#pragma once

#include <stop_token>
#include <string>

#include "app/place/typing.h"
#include "wire/start/job.h"

namespace bottle::app {

// Says where the values of secrets are while the agent runs on another machine (--secrets).
enum class Secrets { forwarded, stay };

// Says how to reach a remote machine or a VM, and what may be sent to it. Comes from the options of `bottle start`.
struct RemoteOptions {
  std::string target;       // user@host[:port]
  bool interactive = true;  // ssh may ask questions
  bool allow_vpn = false;
  bool fresh = false;  // ignore the cached hello of the machine
  Secrets secrets = Secrets::forwarded;
  wire::Token token;  // how the sign-in token gets to the machine
  Transport transport;
  std::stop_token stop = {};  // ends what the place waits for, with Code::canceled

  bool secrets_stay() const { return secrets == Secrets::stay; }
};

// Says which VM to make. Comes from the options of `bottle start --vm`.
struct VmOptions {
  std::string name;       // key in the manifest's `vms`
  std::string ttl, idle;  // override those of the manifest
  bool keep = false;
};

}  // namespace bottle::app
