// Turns a host name that the policy has allowed into a connected socket. Connects only to checked addresses.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "guard/core/client_error.h"
#include "guard/core/context.h"
#include "guard/net/stream.h"
#include "guard/net/task.h"

namespace bottle::guard {

// Holds a connection, to which nothing was written except what opens a tunnel.
struct Dialed {
  std::unique_ptr<Source> source;
  std::string early = {};       // bytes that followed the parent proxy's answer
  bool through_parent = false;  // requests must be sent in absolute form
};
using DialResult = std::expected<Dialed, ClientError>;

// Tells the operator about a parent proxy that answers 407.
inline constexpr std::string_view kParentWantsLogin =
    ": it needs a login, or other credentials (set egress.parent_proxy_login)";

// Returns "host:port" as requests name it, with an IPv6 address in brackets. Leaves out the port if it is `usual`.
std::string authority_of(const policy::Host& host, uint16_t port, uint16_t usual = 0);

// Returns why a name must not be resolved because it carries data, or an empty string. Call this before resolving,
// because a query passes the name to name servers. Does not judge a name that the operator wrote in full. Remembers
// the name.
std::string carried(Context& context, const Config& config, const policy::Host& host);

enum class Via { tunnel, absolute };  // the kind of request for a parent proxy

// Connects to the host's fixed addresses if it has any, else to the parent proxy if there is one, else to the
// resolved addresses that are neither in special ranges nor in the networks of the guard's machine. Gives up after 20
// s, or when `client` breaks. `waker` belongs to the connection; spurious events do no harm.
Task<DialResult> dial(Context& context, const Config& config, Waker& waker, policy::Host host, uint16_t port, Via via,
                      Source* client);

}  // namespace bottle::guard
