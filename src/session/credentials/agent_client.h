// Connects to an ssh-agent on this machine.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "sshagent/filter.h"

namespace bottle::session {

// Holds one connection to an ssh-agent, which may be the operator's own or the session's. The ssh-agent is trusted, but
// it may be slow or dead. After an error, the connection must be dropped.
class AgentClient {
 public:
  // Connects to an ssh-agent. `patience_ms` limits the connecting and each whole exchange; a person may have to confirm
  // a request.
  static Result<AgentClient> connect(const std::string& socket, int patience_ms);
  // Sends one message and returns the answer, both without their length. Blocks. Fails with Code::protocol if the
  // answer is over 256 KB, and with Code::timed_out if the time is up.
  Result<std::string> exchange(std::string_view message);
  int fd() const { return fd_.get(); }

 private:
  AgentClient(UniqueFd fd, std::string socket, int patience_ms)
      : fd_(std::move(fd)), socket_(std::move(socket)), patience_ms_(patience_ms) {}
  UniqueFd fd_;
  std::string socket_;
  int patience_ms_;
};

// Returns the keys that the ssh-agent at `socket` holds. Blocks for at most 5 s to connect and as long for
// the answer.
Result<std::vector<sshagent::Key>> list_agent_keys(const std::string& socket);

// Returns whether the ssh-agent at `socket` confirms a host although the server's signature is wrong, so that its
// confirmations prove nothing. `host_key` is the host's public key, a blob. Blocks as list_agent_keys() does. Fails if
// the ssh-agent does not answer.
Result<bool> confirms_unverified(const std::string& socket, const std::string& host_key);

}  // namespace bottle::session
