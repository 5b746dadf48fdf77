// Implements the self-test, which tries inside the bottle everything that must not be possible there. SECURITY.md says
// which walls the probes test.
#pragma once

#include <netinet/in.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "inside/gate/gate.h"
#include "inside/probes/exchange.h"

namespace bottle::inside {

// Says where the bottle's network is, as the supervisor states it in the container's environment.
struct Surroundings {
  sockaddr_in guard{};
  in_addr gateway{};           // where the internal network's gateway would be; no machine may answer at this address
  std::vector<in_addr> hosts;  // the host's own addresses on other bridges
  bool gvisor = false;
};

// Holds the values of BOTTLE_GUARD, BOTTLE_GATEWAY, BOTTLE_PROBE_HOSTS and BOTTLE_RUNTIME.
struct SurroundingsText {
  std::string guard, gateway, hosts = {}, runtime = {};
};

// Reads these values. Fails if the guard or the gateway is missing, or if any address is unreadable.
Result<Surroundings> surroundings(const SurroundingsText& text);

// Runs all probes; the result is never empty. Blocks until the guard answers, for at most `guard_wait_ms`, and then 400
// ms for the rest. Probes that do not need the guard run in the meantime.
std::vector<Probe> run_probes(const Surroundings& world, int guard_wait_ms);

// Pure parts, exposed for tests. Two of them take the text of /proc/self/status, /proc/net/if_inet6 and
// /proc/net/ipv6_route.
Probe judge_privileges(std::string_view status, bool gvisor);
Probe judge_dns(const std::string& name, const DnsAnswer& answer, in_addr guard);
Probe judge_ipv6(std::string_view addresses, std::string_view routes);

}  // namespace bottle::inside
