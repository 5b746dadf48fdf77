// The routes come from the kernel's lists, which are text in columns. A line of another form results in a route of
// length 0, which is dropped like a default route.
//
// A name must not lead to this host or to a neighbor, even at a public address. Neighbors are those in the networks
// of the interfaces and those behind a route without a gateway. Very wide routes of that kind belong to tunnels and
// would forbid a large part of the internet, so they are left out.
#include "session/box/host_routes.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <sstream>

#include "base/os/system_facts.h"
#include "base/text/parse.h"

namespace bottle::session {
namespace {

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool is_zero(const std::string& hex) { return !hex.empty() && hex.find_first_not_of('0') == std::string::npos; }

// Returns whether a prefix is wider than any local network can be. The limits are a class A network for IPv4 and, for
// IPv6, the block that a registry gives to a provider.
bool is_too_wide(const Prefix& prefix) { return prefix.bits < (prefix.address.v6 ? 32 : 8); }

// Returns the number of bits in a netmask, or -1 if there is none.
int length_of(const sockaddr* mask) {
  if (!mask) return -1;
  const auto* bytes = mask->sa_family == AF_INET6
                          ? reinterpret_cast<const sockaddr_in6*>(mask)->sin6_addr.s6_addr
                          : reinterpret_cast<const uint8_t*>(&reinterpret_cast<const sockaddr_in*>(mask)->sin_addr);
  int bits = 0;
  for (size_t i = 0; i < (mask->sa_family == AF_INET6 ? 16u : 4u); ++i) bits += __builtin_popcount(bytes[i]);
  return bits;
}

// Describes an address of one of this host's interfaces, with the length of its network's prefix.
struct OwnAddress {
  std::string device;
  Prefix prefix;
};

// Returns the IP addresses of all interfaces. An address without a netmask,
// as on a point-to-point link, forms a network by itself.
Result<std::vector<OwnAddress>> own_addresses() {
  std::vector<OwnAddress> all;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return fail_errno("listing the addresses of this machine");
  for (auto* each = list; each; each = each->ifa_next) {
    if (!each->ifa_addr) continue;
    Prefix own;
    if (each->ifa_addr->sa_family == AF_INET) {
      std::memcpy(own.address.bytes.data(), &reinterpret_cast<sockaddr_in*>(each->ifa_addr)->sin_addr, 4);
    } else if (each->ifa_addr->sa_family == AF_INET6) {
      own.address.v6 = true;
      std::memcpy(own.address.bytes.data(), &reinterpret_cast<sockaddr_in6*>(each->ifa_addr)->sin6_addr, 16);
    } else {
      continue;
    }
    own.bits = length_of(each->ifa_netmask);
    if (own.bits < 0) own.bits = own.address.v6 ? 128 : 32;
    all.push_back({each->ifa_name, own});
  }
  ::freeifaddrs(list);
  return all;
}

// Reads one line of the IPv4 list. The bytes of an address are in network byte order, but the kernel prints them as a
// number in the byte order of this machine.
HostRoute ipv4_route(std::istringstream words) {
  std::string device, destination, gateway, word, mask;
  words >> device >> destination >> gateway >> word >> word >> word >> word >> mask;
  auto number = number_in<uint32_t>(destination, 16).value_or(0);
  HostRoute route{device, {{}, std::popcount(number_in<uint32_t>(mask, 16).value_or(0))}, is_zero(gateway)};
  std::memcpy(route.to.address.bytes.data(), &number, sizeof number);
  return route;
}

// Reads one line of the IPv6 list. The address is 32 hexadecimal digits in network byte order, and its length is
// hexadecimal, too.
HostRoute ipv6_route(std::istringstream words) {
  std::string device, destination, bits, source, source_bits, gateway, word;
  words >> destination >> bits >> source >> source_bits >> gateway;
  while (words >> word) device = word;  // the device is the last word
  HostRoute route{device, {{.v6 = true}, number_in<int>(bits, 16).value_or(0)}, is_zero(gateway)};
  for (size_t i = 0; i < 16 && 2 * i + 1 < destination.size(); ++i)
    route.to.address.bytes[i] = number_in<uint8_t>(destination.substr(2 * i, 2), 16).value_or(0);
  return route;
}

// Returns whether an IPv6 route leads to no other network. Every interface has such routes.
bool leads_nowhere(const HostRoute& route) {
  static const Prefix kLinkLocal = *parse_prefix("fe80::/10"), kMulticast = *parse_prefix("ff00::/8");
  return route.device == "lo" || route.to.overlaps(kLinkLocal) || route.to.overlaps(kMulticast);
}

}  // namespace

// A length of 0 is a default route, or a line that could not be read. Only the IPv4 list has a header.
std::vector<HostRoute> read_routes(const std::string& ipv4, const std::string& ipv6) {
  std::vector<HostRoute> routes;
  std::istringstream old_lines(ipv4), lines(ipv6);
  std::string line;
  std::getline(old_lines, line);  // skip the header line
  while (std::getline(old_lines, line))
    if (auto route = ipv4_route(std::istringstream(line)); route.to.bits > 0) routes.push_back(std::move(route));
  while (std::getline(lines, line))
    if (auto route = ipv6_route(std::istringstream(line)); route.to.bits > 0 && !leads_nowhere(route))
      routes.push_back(std::move(route));
  return routes;
}

// Addresses that are not public are left out, because a guard refuses them in any case.
std::vector<Prefix> networks_of(const std::vector<Prefix>& addresses, const std::vector<HostRoute>& routes) {
  std::vector<Prefix> all;
  auto add = [&](const Prefix& prefix) {
    bool is_public = policy::special_range(prefix.address).empty();
    if (is_public && !is_too_wide(prefix) && std::ranges::count(all, prefix) == 0) all.push_back(prefix);
  };
  for (const auto& own : addresses) {
    add({own.address, own.address.v6 ? 128 : 32});
    add(policy::network_of(own));
  }
  for (const auto& route : routes)
    if (route.on_link) add(route.to);
  std::ranges::sort(all, {}, [](const Prefix& prefix) { return to_string(prefix); });
  return all;
}

Result<std::vector<Prefix>> host_networks() {
  std::vector<Prefix> addresses;
  for (const auto& own : TRY(own_addresses())) addresses.push_back(own.prefix);
  return networks_of(addresses, TRY(host_routes()));
}

Result<std::vector<HostRoute>> host_routes() {
  auto lists = TRY(route_lists());
  if (!lists.ipv4.empty() || !lists.ipv6.empty()) return read_routes(lists.ipv4, lists.ipv6);
  // The system does not list its routes, so each address stands for the route to its own network.
  std::vector<HostRoute> routes;
  for (const auto& [device, own] : TRY(own_addresses())) {
    HostRoute route{device, policy::network_of(own), true};
    if (route.to.bits > 0 && !leads_nowhere(route)) routes.push_back(std::move(route));
  }
  return routes;
}

// Docker calls the bridge of a network "br-" and twelve hexadecimal digits; Podman counts them.
bool is_engine_bridge(std::string_view device) {
  if (device == "docker0" || device == "docker_gwbridge") return true;
  if (device.starts_with("br-")) return device.size() == 15 && std::ranges::all_of(device.substr(3), is_hex);
  for (std::string_view name : {"podman", "cni-podman"})
    if (device.size() > name.size() && device.starts_with(name))
      return std::ranges::all_of(device.substr(name.size()), [](char c) { return c >= '0' && c <= '9'; });
  return false;
}

}  // namespace bottle::session
