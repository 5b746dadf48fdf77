// Connects to an ssh-agent on this host.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "sshagent/filter.h"

namespace bottle::session {

class AgentClient {
 public:
  // Connects to an ssh-agent. `patience_ms` limits each exchange; a person may have to confirm a request.
  static Result<AgentClient> connect(const std::string& socket, int patience_ms);
  // Sends one message and returns the answer, both without their length. Blocks. Fails with Code::protocol if the
  // answer is over 256 KB.
  Result<std::string> exchange(std::string_view message);
  int fd() const { return fd_.get(); }

 private:
  AgentClient(UniqueFd fd, std::string socket) : fd_(std::move(fd)), socket_(std::move(socket)) {}
  UniqueFd fd_;
  std::string socket_;
};

Result<std::vector<sshagent::Key>> list_agent_keys(const std::string& socket);

}  // namespace bottle::session
