// An ssh-agent of the session's own, for keys that the operator's agent does not hold: the system's ssh-agent on a
// socket in the session's directory, with each key bound to its hosts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/os/process.h"
#include "plan/plan.h"
#include "session/credentials/ssh_keys.h"

namespace bottle::session {

class SessionAgent {
 public:
  // Blocking. The socket's path is in the ledger already. It ends with this object, and with this process however that
  // dies.
  static Result<std::unique_ptr<SessionAgent>> start(const std::string& directory, const plan::Plan& plan,
                                                     const std::vector<SshKey>& keys);
  ~SessionAgent();

  static std::string socket_in(const std::string& directory) { return directory + "/ssh-agent"; }

 private:
  explicit SessionAgent(Child shell) : shell_(std::move(shell)) {}
  Child shell_;
};

// Ends the agent that listens on `socket`, if one does, and removes the socket. For what a dead owner left. Idempotent.
// Code::conflict: something else listens there; it is left alone.
Result<> end_agent(const std::string& socket);

}  // namespace bottle::session
