// Reads the routes of this host as the kernel lists them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/address.h"

namespace bottle::session {

using policy::parse_prefix, policy::Prefix;

// Describes one route of this host's own routing table.
struct HostRoute {
  std::string device;
  Prefix to;
  bool on_link = false;  // the route has no gateway, so the hosts on that network are neighbors
};

// Returns all routes except the default routes and the IPv6 routes that lead to no network: link-local, multicast and
// the host's own addresses. On a system that does not list its routes, returns only the networks of its own addresses.
// Fails if they cannot be read, which does not mean that there are none.
Result<std::vector<HostRoute>> host_routes();

// Returns the addresses that a name must not lead to, even if they are public: this host's own addresses and the
// networks that it is on. Leaves out the addresses that no guard connects to anyway (policy::special_range), and routes
// without a gateway that are wider than any local network, because those belong to tunnels. The result is sorted.
// Fails like host_routes(). A guard then keeps the networks that it has, and does not start without any.
Result<std::vector<Prefix>> host_networks();

// Computes host_networks(). `addresses` are the addresses of the interfaces, each with the length of its network's
// prefix. Pure.
std::vector<Prefix> networks_of(const std::vector<Prefix>& addresses, const std::vector<HostRoute>& routes);

// Parses the kernel's lists of routes. proc(5) describes /proc/net/route. The format for IPv6 has no man page; it is in
// rt6_native_format in the kernel's net/ipv6/route.c.
std::vector<HostRoute> read_routes(const std::string& ipv4, const std::string& ipv6);

// Returns whether a device is a bridge that a container engine made for itself and that leads to its containers only.
// Compares the whole name, because a LAN's bridge may be called br-lan.
bool is_engine_bridge(std::string_view device);

}  // namespace bottle::session
