// From a host name that policy has allowed to a connected socket, through checked addresses only.
#pragma once

#include <memory>
#include <string>

#include "guard/core/context.h"
#include "guard/core/stream.h"
#include "guard/core/task.h"

namespace bottle::guard {

struct Dialed {
  std::unique_ptr<Source> source;  // null: not connected
  std::string early;               // what came right behind the parent proxy's answer
  bool through_parent = false;     // and to be spoken to in absolute form
  int status = 502;                // for the client, when not connected
  std::string_view code;           // same
  std::string reason;              // for the operator
};

// What to tell the operator of a parent proxy that answers 407.
inline constexpr std::string_view kParentWantsLogin =
    ": it wants a user and a password, or others (parent_proxy: http://user:password@host:port)";

enum class Via { tunnel, absolute };  // what a parent proxy would be asked for

// Fixed addresses first; then the parent proxy; else resolved, without special ranges and the networks of the guard's
// machine. Gives up after 20 s or when `client` breaks. `waker` is the connection's; spurious events are fine.
Task<Dialed> dial(Context& context, const Config& config, Waker& waker, policy::Host host, uint16_t port, Via via,
                  Source* client);

}  // namespace bottle::guard
