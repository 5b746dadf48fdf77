// The routes of this host, as the kernel lists them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/address.h"

namespace bottle::session {

// An address and how many of its bits count: "10.0.0.0/8", "fd00:1::/64".
struct Prefix {
  policy::Address address;
  int bits = 0;
  // Whether one holds the other.
  bool overlaps(const Prefix& other) const;
};
std::optional<Prefix> parse_prefix(std::string_view text);
std::string to_string(const Prefix& prefix);

struct HostRoute {
  std::string device;
  Prefix to;
};

// All but the default routes, and those of IPv6 that lead to no network: link-local, multicast, the host's own
// addresses. Empty where the system does not tell (macOS: the engine runs in a VM of its own).
std::vector<HostRoute> host_routes();

// From what the kernel lists: proc(5), /proc/net/route; for IPv6, which has no page, rt6_native_format in its
// net/ipv6/route.c.
std::vector<HostRoute> read_routes(const std::string& ipv4, const std::string& ipv6);

// Whether that device is a bridge that a container engine made for itself: such a one leads to its containers alone. By
// the whole name, since a LAN's bridge is called br-lan, too.
bool is_engine_bridge(std::string_view device);

}  // namespace bottle::session
