// Runs an ssh-agent for the session, for keys that the operator's ssh-agent does not hold. It is the system's
// ssh-agent on a socket in the session's directory, with each key bound to its hosts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/os/process.h"
#include "plan/plan.h"
#include "session/credentials/ssh_keys.h"

namespace bottle::session {

// Owns the session's ssh-agent. The launch starts it, and it lives for as long as the agent may ask for signatures.
class SessionAgent {
 public:
  // Starts the ssh-agent and adds the keys. Blocks. The socket's path must already be in the ledger. The ssh-agent ends
  // with this object, and with this process even if the process is killed.
  static Result<std::unique_ptr<SessionAgent>> start(const std::string& directory, const plan::Plan& plan,
                                                     const std::vector<wire::SshKey>& keys);
  ~SessionAgent();

  // Returns the path of the socket in a session's directory. The ledger names it as a thing of the kind "ssh-agent".
  static std::string socket_in(const std::string& directory) { return directory + "/ssh-agent"; }

 private:
  explicit SessionAgent(Child shell) : shell_(std::move(shell)) {}
  Child shell_;
};

// Ends the ssh-agent that listens on `socket`, if there is one, and removes the socket. Used after the owner's death.
// Idempotent. Fails with Code::conflict, and changes nothing, if another program listens on it.
Result<> end_agent(const std::string& socket);

}  // namespace bottle::session
