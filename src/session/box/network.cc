// Subnets are chosen at random. Looking for a free one would cost a call, and another start could take it in the
// meantime. The engine refuses a subnet that overlaps with one of its own networks, and the next attempt takes
// another one. The engine does not check the host's other routes, such as those of a VPN, which such a subnet would
// hide from the host, so host_uses() does that.
#include "session/box/network.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/files/file.h"
#include "base/ids.h"
#include "docker/answers.h"
#include "session/box/host_routes.h"
#include "session/ledger/names.h"

namespace bottle::session {
namespace {

// These are parts of the private ranges (RFC 1918). The first one that the host does not use is taken.
constexpr const char* kRanges[] = {"10.231", "10.87", "172.29"};

// Returns whether a route of this host other than the default covers a.b.0.0/16. If the system does not list its
// routes (on macOS, the engine runs in a VM), this check finds nothing, and only the engine's own check remains. It
// also finds nothing if the routes cannot be read; a guard does not start then (host_networks()).
bool host_uses(const std::string& base) {
  auto range = parse_prefix(base + ".0.0/16");
  auto routes = host_routes().value_or(std::vector<HostRoute>());
  return !range || std::ranges::any_of(routes, [&](const HostRoute& route) {
    return !is_engine_bridge(route.device) && route.to.overlaps(*range);  // the engine checks its own bridges
  });
}

// Returns a random /28 of the range. The first 16 of the 4096 are the /24 of the egress bridge.
Subnet by_chance(const char* base) {
  return subnet_at(base, 16 + static_cast<unsigned>(std::strtoul(random_hex(3).c_str(), nullptr, 16)) % 4080);
}

// Returns whether the engine refused a subnet because it is taken. The API has no code for it, only texts such as "Pool
// overlaps with other one on this address space".
bool is_overlap(const Error& error) {
  return error.what.find("overlap") != std::string::npos || error.what.find("Pool") != std::string::npos;
}

// Returns the gateway of the first address range that has one, or an empty string if none has.
std::string gateway_of(const nlohmann::json& network) {
  const auto& configs = docker::member(docker::member(network, "IPAM"), "Config");
  if (configs.is_array())
    for (const auto& config : configs)
      if (auto gateway = docker::text_of(config, "Gateway"); !gateway.empty()) return gateway;
  return "";
}

}  // namespace

// A /28 has 16 addresses, so 16 of them are in one /24.
Subnet subnet_at(const std::string& base, unsigned n) {
  unsigned third = n / 16 % 256, fourth = n % 16 * 16;
  auto at = [&](unsigned offset) { return base + "." + std::to_string(third) + "." + std::to_string(fourth + offset); };
  return {at(0) + "/28", at(1), at(2), at(3)};
}

Subnet likely_subnet() {
  for (const char* base : kRanges)
    if (!host_uses(base)) return by_chance(base);
  return by_chance(kRanges[0]);
}

// Twelve attempts in a range of 4080 subnets fail only if the range is nearly full, or if the engine refuses all of it.
Result<Subnet> make_internal_network(docker::Engine& engine, const std::string& name, const Labels& labels,
                                     Subnet first) {
  Error last{Code::limit, "every subnet that bottle may use overlaps with a route of the host"};
  for (const char* base : kRanges) {
    if (host_uses(base)) continue;
    for (int attempt = 0; attempt < 12; ++attempt) {
      Subnet subnet = first.cidr.empty() ? by_chance(base) : std::exchange(first, {});
      // `inhibit_ipv4` leaves the bridge without an address, so that the agent has no neighbor on the host.
      nlohmann::json config = {
          {"Driver", "bridge"},
          {"Internal", true},
          {"EnableIPv6", false},
          {"CheckDuplicate", true},
          {"Labels", labels},
          {"IPAM", {{"Config", nlohmann::json::array({{{"Subnet", subnet.cidr}, {"Gateway", subnet.gateway}}})}}},
          {"Options", {{"com.docker.network.bridge.inhibit_ipv4", "true"}}}};
      auto made = engine.create_network(name, config);
      if (made) return subnet;
      last = made.error();
      if (!is_overlap(last)) return std::unexpected(std::move(last).during("creating the internal network"));
    }
  }
  return std::unexpected(std::move(last).during("creating the internal network"));
}

// Any program could have made a network of that name. Each check is for a setting that separates sessions from each
// other.
Result<std::string> egress_gateway(const nlohmann::json& network) {
  auto unfit = [](const std::string& why) {
    return fail(Code::conflict, "the network bottle-egress exists but " + why,
                "remove it with `docker network rm bottle-egress`");
  };
  const auto& options = docker::member(network, "Options");
  if (docker::text_of(network, "Driver") != "bridge") return unfit("is not a bridge on this machine");
  if (docker::text_of(options, "com.docker.network.bridge.enable_icc") != "false")
    return unfit("lets containers reach each other");
  if (docker::member(network, "EnableIPv6") == true) return unfit("has IPv6");
  if (auto gateway = gateway_of(network); !gateway.empty()) return gateway;
  return unfit("has no gateway");
}

// The network is looked for again before each attempt, because another start may be making it at the same time.
Result<std::string> ensure_egress_network(docker::Engine& engine) {
  for (const char* base : kRanges) {
    if (auto existing = engine.inspect_network(kEgressNetwork)) return egress_gateway(*existing);
    if (host_uses(base)) continue;
    std::string prefix = std::string(base) + ".0.";
    auto made = engine.create_network(
        kEgressNetwork,
        {{"Driver", "bridge"},
         {"EnableIPv6", false},
         {"CheckDuplicate", true},
         {"Labels", {{"bottle.role", "egress"}}},
         {"IPAM", {{"Config", nlohmann::json::array({{{"Subnet", prefix + "0/24"}, {"Gateway", prefix + "1"}}})}}},
         {"Options",
          {{"com.docker.network.bridge.enable_icc", "false"}, {"com.docker.network.bridge.name", "bottle-egress"}}}});
    if (made) return prefix + "1";
    // Either another start made it in the meantime, or the subnet is taken.
    if (!is_overlap(made.error()) && made.error().code != Code::conflict)
      return std::unexpected(std::move(made.error()).during("creating the network bottle-egress"));
  }
  if (auto existing = engine.inspect_network(kEgressNetwork)) return egress_gateway(*existing);
  return fail(Code::limit, "no subnet is free for the network bottle-egress");
}

// Guards of a machine without a network do not join the egress bridge, so it is made only if the engine has no other
// bridge.
Result<std::string> host_address(docker::Engine& engine) {
  if (auto bridge = engine.inspect_network("bridge"))
    if (auto gateway = gateway_of(*bridge); !gateway.empty()) return gateway;
  return ensure_egress_network(engine);
}

}  // namespace bottle::session
