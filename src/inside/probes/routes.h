// Asks the kernel about neighbors and routes over rtnetlink(7). It sends no packets.
#pragma once

#include <netinet/in.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::inside {

enum class Neighbor { absent, unresolved, resolved };

// Looks up whether the neighbor table holds a link-layer address for `address`. Fails if the kernel has no such table
// (gVisor).
Result<Neighbor> neighbor(in_addr address);

// Says where the kernel would send a packet.
struct Route {
  bool exists = false;
  std::optional<in_addr> gateway;  // empty if the address is on the link
};

// Looks up the route that a packet to `address` would take.
Result<Route> route_to(in_addr address);

// Exposed for tests. Each reads the bytes of one answer and returns whether it was the last one. They fail if the
// kernel reports an error or the bytes are not an answer.
Result<bool> read_neighbors(std::string_view answer, in_addr address, Neighbor& state);
Result<bool> read_route(std::string_view answer, Route& route);

}  // namespace bottle::inside
