// The bottle's name server: its own names, and NXDOMAIN, recorded, for everything else.
#pragma once

#include <memory>

#include "base/error.h"
#include "guard/core/context.h"
#include "guard/core/task.h"

namespace bottle::guard {

class DnsServer;
Detached serve_dns(DnsServer& server, int fd);

class DnsServer {
 public:
  explicit DnsServer(Context& context) : context_(context) {}
  // UDP and TCP. Keeps what is open if the address is the same.
  Result<> listen(const policy::Endpoint& at);

 private:
  friend Detached serve_dns(DnsServer& server, int fd);
  void read_udp();
  void accept_tcp();
  // Empty: no answer at all.
  std::string answer(std::string_view query);

  Context& context_;
  std::optional<policy::Endpoint> at_;
  Source udp_, tcp_;
  size_t clients_ = 0;
};

// A bound, listening (stream) or bound (datagram) non-blocking socket.
Result<UniqueFd> open_listener(const policy::Endpoint& at, int type);

}  // namespace bottle::guard
