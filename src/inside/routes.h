// What the kernel knows about neighbours and routes, asked over rtnetlink(7). Nothing here sends a packet.
#pragma once

#include <netinet/in.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::inside {

enum class Neighbour { absent, unresolved, resolved };

// Does the neighbour table hold a link-layer address for it? An error where the kernel keeps no such table (gVisor).
Result<Neighbour> neighbour(in_addr address);

struct Route {
  bool exists = false;
  std::optional<in_addr> gateway;  // none: the address counts as on the link
};

// Which way would a packet to `address` go?
Result<Route> route_to(in_addr address);

// Test seams: one answer's bytes; true: it was the last. Errors: the kernel's own, or bytes that are no answer.
Result<bool> read_neighbours(std::string_view answer, in_addr address, Neighbour& state);
Result<bool> read_route(std::string_view answer, Route& route);

}  // namespace bottle::inside
