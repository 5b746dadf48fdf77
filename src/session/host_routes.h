// The IPv4 routes of this host, as the kernel lists them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bottle::session {

struct HostRoute {
  std::string device;
  uint32_t destination = 0, mask = 0;  // in network byte order, as in_addr has them
};

// All but the default routes. Empty where the system does not tell (macOS: the engine runs in a VM of its own).
// Source: proc(5), /proc/net/route.
std::vector<HostRoute> host_routes();

}  // namespace bottle::session
