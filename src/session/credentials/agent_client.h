// A connection to an ssh-agent of this host.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "sshagent/filter.h"

namespace bottle::session {

class AgentClient {
 public:
  // `patience_ms` holds for each exchange: a person may have to confirm.
  static Result<AgentClient> connect(const std::string& socket, int patience_ms);
  // Sends one message and reads the answer, both without their length. Blocking. Code::protocol for an answer over 256
  // KB.
  Result<std::string> exchange(std::string_view message);
  int fd() const { return fd_.get(); }

 private:
  AgentClient(UniqueFd fd, std::string socket) : fd_(std::move(fd)), socket_(std::move(socket)) {}
  UniqueFd fd_;
  std::string socket_;
};

Result<std::vector<sshagent::Key>> list_agent_keys(const std::string& socket);

}  // namespace bottle::session
