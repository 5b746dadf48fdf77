#include "base/os/system_facts.h"

#include <time.h>

namespace bottle {

Result<RouteLists> route_lists() { return RouteLists(); }
MemoryFacts memory_facts() { return {}; }
Result<std::string> mount_list() { return fail(Code::not_found, "POSIX has no list of mounts"); }
std::optional<uid_t> unmapped_owner() { return std::nullopt; }

double boot_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);  // on macOS, this includes time asleep
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace bottle
