// Reports facts about this machine from the kernel.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace bottle {

// Holds the kernel's lists of routes, in the format of /proc/net/route and /proc/net/ipv6_route (proc(5)). One is
// empty if the system has no such list.
struct RouteLists {
  std::string ipv4, ipv6;
};
// Reads both lists of this process's network namespace. Fails if one exists and cannot be read.
Result<RouteLists> route_lists();

// Holds the size of the machine's memory in bytes; 0 if the system cannot tell.
struct MemoryFacts {
  uint64_t total = 0, available = 0;
};
// Reads the facts. Inside a container, they are still those of the whole machine.
MemoryFacts memory_facts();

// Returns the seconds on a clock that cannot be set. It includes time asleep if the system has such a clock.
double boot_seconds();

// Reads the list of this process's mounts, in the format of /proc/self/mountinfo (proc(5)). Fails if the system has no
// such list.
Result<std::string> mount_list();

// Returns the uid that stands for owners outside this process's user namespace, or nothing if it is in none.
std::optional<uid_t> unmapped_owner();

}  // namespace bottle
