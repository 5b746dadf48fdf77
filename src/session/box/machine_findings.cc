#include "session/box/machine_findings.h"

#include <vector>

#include "base/text/words.h"

namespace bottle::session {
namespace {

constexpr uint64_t kGigabyte = 1'000'000'000;

}  // namespace

void judge_limits(Findings& found, const docker::EngineLimits& limits, bool is_rootless, const std::string& engine) {
  std::vector<std::string> missing;
  if (!limits.memory) missing.push_back("memory");
  if (!limits.cpus) missing.push_back("cpus");
  if (!limits.pids) missing.push_back("pids");
  if (missing.empty()) return found.ok("limits", "the engine limits memory, cpus and pids");
  found.warn("limits", engine + " cannot limit " + joined(missing) + ", so an agent can use all that the machine has",
             is_rootless ? "on that machine, delegate the cgroup controllers to the user that runs the engine: set "
                           "Delegate=cpu memory pids in user@.service.d"
                         : "boot that machine with cgroup v2 and its controllers enabled");
}

void judge_seccomp(Findings& found, bool has_seccomp, const std::string& engine) {
  if (has_seccomp) return found.ok("seccomp", "system calls are filtered (seccomp)");
  found.warn("seccomp", engine + " does not use seccomp, so an agent can make any system call",
             "use a kernel with CONFIG_SECCOMP_FILTER, and an engine built with seccomp");
}

void judge_memory(Findings& found, uint64_t bytes, const std::string& fact, const std::string& todo) {
  if (bytes >= 2 * kGigabyte) return found.ok("memory", fact);
  found.warn("memory", fact + ", but an agent needs about 2 GB", todo);
}

void judge_disk(Findings& found, const char* code, uint64_t free_bytes, const std::string& fact,
                const std::string& todo) {
  // Several images and the work of a session need about this much.
  if (free_bytes >= 5 * kGigabyte) return found.ok(code, fact);
  found.warn(code, fact + ", but images and work need about 5 GB", todo);
}

}  // namespace bottle::session
