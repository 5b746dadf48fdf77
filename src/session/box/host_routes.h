// The routes of this host, as the kernel lists them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/address.h"

namespace bottle::session {

using policy::parse_prefix, policy::Prefix;

struct HostRoute {
  std::string device;
  Prefix to;
  bool on_link = false;  // it has no gateway, so the hosts there are neighbors
};

// All but the default routes, and those of IPv6 that lead to no network: link-local, multicast, the host's own
// addresses. Empty where the system does not tell (macOS: the engine runs in a VM of its own).
std::vector<HostRoute> host_routes();

// What a name must not lead to, even if its address is public: this host's own addresses and the networks that it is
// on. Left out are those that no guard connects to anyway (policy::special_range), and routes without a gateway that
// are wider than a local network can be, which belong to tunnels. Sorted.
std::vector<Prefix> host_networks();

// Pure. `addresses` are those of the interfaces, each with the length of its network's prefix.
std::vector<Prefix> networks_of(const std::vector<Prefix>& addresses, const std::vector<HostRoute>& routes);

// From what the kernel lists: proc(5), /proc/net/route; for IPv6, which has no page, rt6_native_format in its
// net/ipv6/route.c.
std::vector<HostRoute> read_routes(const std::string& ipv4, const std::string& ipv6);

// Whether that device is a bridge that a container engine made for itself: such a one leads to its containers alone. By
// the whole name, since a LAN's bridge is called br-lan, too.
bool is_engine_bridge(std::string_view device);

}  // namespace bottle::session
