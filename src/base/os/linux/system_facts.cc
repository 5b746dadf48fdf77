// Reads facts about the machine from /proc. A fact that cannot be read becomes empty or zero, which the callers treat
// as unknown, except the routes: without them, a guard would let through what it must not.
#include "base/os/system_facts.h"

#include <time.h>

#include <cstdlib>
#include <sstream>
#include <utility>

#include "base/files/file.h"
#include "base/text/parse.h"
#include "base/text/words.h"

namespace bottle {

Result<RouteLists> route_lists() {
  RouteLists lists;
  for (auto [path, to] : {std::pair{"/proc/net/route", &lists.ipv4}, {"/proc/net/ipv6_route", &lists.ipv6}}) {
    auto text = read_file(path);
    // A kernel without IPv6 has no list for it.
    if (!text && text.error().code != Code::not_found) return std::unexpected(std::move(text.error()));
    if (text) *to = std::move(*text);
  }
  return lists;
}

MemoryFacts memory_facts() {
  MemoryFacts facts;
  std::istringstream lines(read_file("/proc/meminfo", 1 << 16).value_or(""));
  for (std::string line; std::getline(lines, line);) {
    uint64_t kilobytes = std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 10);
    if (line.starts_with("MemTotal:")) facts.total = kilobytes * 1024;
    if (line.starts_with("MemAvailable:")) facts.available = kilobytes * 1024;
  }
  return facts;
}

std::optional<uid_t> unmapped_owner() {
  auto map = read_file("/proc/self/uid_map", 4096);
  // The initial user namespace maps all 4294967295 ids in one line (user_namespaces(7)), so every owner has an id in
  // it.
  if (!map || map->find("4294967295") != std::string::npos) return std::nullopt;  // all uids are mapped
  // stat(2) reports this id for a file whose owner has no id in this namespace.
  auto text = read_file("/proc/sys/kernel/overflowuid", 32);
  return text ? number_in<uid_t>(trimmed_end(*text, "\n")).value_or(65534) : 65534;
}

Result<std::string> mount_list() { return read_file("/proc/self/mountinfo", 16 << 20); }

double boot_seconds() {
  timespec now{};
  // Unlike CLOCK_MONOTONIC, it goes on while the machine sleeps.
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace bottle
