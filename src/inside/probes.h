// The self-test: what must not be possible from inside is tried from inside. docs/security.md explains each probe.
#pragma once

#include <netinet/in.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "inside/gate.h"

namespace bottle::inside {

struct Surroundings {
  sockaddr_in guard{};
  in_addr gateway{};           // where the internal network's gateway would be: nobody must answer there
  std::vector<in_addr> hosts;  // the host's own addresses on other bridges
  bool gvisor = false;
};

// From BOTTLE_GUARD, BOTTLE_GATEWAY, BOTTLE_PROBE_HOSTS and BOTTLE_RUNTIME. Anything missing or unreadable is an error.
Result<Surroundings> surroundings(const std::string& guard, const std::string& gateway, const std::string& hosts,
                                  const std::string& runtime);

// Blocks until the guard answers, `guard_wait_ms` at most, and 400 ms for the rest; what does not need the guard is
// tried meanwhile. Never empty.
std::vector<Probe> run_probes(const Surroundings& world, int guard_wait_ms);

// Pure parts, for tests: the text of /proc/self/status, /proc/net/if_inet6 and /proc/net/ipv6_route.
Probe judge_privileges(std::string_view status, bool gvisor);
Probe judge_ipv6(std::string_view addresses, std::string_view routes);

}  // namespace bottle::inside
