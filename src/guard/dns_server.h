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

// Serves UDP and TCP. An answer is small and needs no other host, so a UDP query is answered as soon as it is read.
// Callbacks of the loop refer to this object, so it must outlive the loop's last turn.
class DnsServer {
 public:
  explicit DnsServer(Context& context) : context_(context) {}
  // Holds the two sockets of an address, or none if the server already listens there.
  struct Sockets {
    UniqueFd udp, tcp;
  };
  Result<Sockets> open_new(const policy::Endpoint& at) const;
  // Answers queries at the sockets from open_new(), and no longer at the previous address.
  void listen_on(const policy::Endpoint& at, Sockets sockets);
  // Call it once per turn of the loop. Returns after how many milliseconds to call it again, or -1 for never.
  int turn();

 private:
  friend Detached serve_dns(DnsServer& server, int fd);
  void read_udp();
  void accept_tcp();
  // Returns the address of a name of the bottle, or null.
  const policy::Address* address_of(const std::string& name) const;
  // Returns the answer. An empty string means that no answer is sent.
  std::string answer(std::string_view query);

  Context& context_;
  std::optional<policy::Endpoint> at_;
  Source udp_, tcp_;
  size_t clients_ = 0;
  int64_t pause_until_ = 0;  // 0 means that clients are accepted
};

// Returns whether accept(2) failed with this error because nothing more can be opened. Listeners are level-triggered,
// so the loop would spin. The listener must not be watched for kAcceptPause milliseconds.
bool is_full(int error);
inline constexpr int kAcceptPause = 50;

// Returns a non-blocking socket that is bound and, if it is a stream socket, listening.
Result<UniqueFd> open_listener(const policy::Endpoint& at, int type);

}  // namespace bottle::guard
