// Implements the bottle's name server. It answers the bottle's own names, and answers and records NXDOMAIN for all
// others.
#pragma once

#include <memory>

#include "base/error.h"
#include "guard/core/context.h"
#include "guard/net/task.h"

namespace bottle::guard {

class DnsServer;
// Serves one client over TCP, for at most 10 seconds. Owns `fd`.
Detached serve_dns(DnsServer& server, int fd);

// Answers are small and need no other host, so UDP queries are answered as they are read. Callbacks of the loop refer
// to this object, so it must outlive the loop's last turn.
class DnsServer {
 public:
  explicit DnsServer(Context& context) : context_(context) {}
  // Listens on UDP and TCP. Keeps the open sockets if the address is unchanged.
  Result<> listen(const policy::Endpoint& at);

 private:
  friend Detached serve_dns(DnsServer& server, int fd);
  void read_udp();
  void accept_tcp();
  // Returns the answer. An empty string means that no answer is sent.
  std::string answer(std::string_view query);

  Context& context_;
  std::optional<policy::Endpoint> at_;
  Source udp_, tcp_;
  size_t clients_ = 0;
};

// Returns a non-blocking socket that is bound and, if it is a stream socket, listening.
Result<UniqueFd> open_listener(const policy::Endpoint& at, int type);

}  // namespace bottle::guard
