// Judges a machine's description of itself before a secret goes to it. This separates fit machines from unfit ones,
// provided that they are honest. A machine that lies cannot be detected, and the protection of the secrets does not
// depend on this check. The important findings are about the way back: an agent that takes over the machine must not
// reach the operator's own network through it.
#include "remote/link/findings.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "base/text/line.h"
#include "base/text/shell_word.h"
#include "base/units.h"
#include "session/box/machine_findings.h"
#include "session/ledger/names.h"

namespace bottle::remote {

using session::Prefix, session::host_routes, session::is_engine_bridge, session::kEgressNetwork, session::parse_prefix;

namespace {

// The limit is in milliseconds. Clocks that are set over the network differ by much less.
constexpr int64_t kClockTolerance = 5 * 60 * 1000;

// Returns whether the operator's network may use these addresses. Addresses of the public internet belong to no single
// network.
bool is_private(const Prefix& prefix) {
  static const auto kPrivate = [] {
    std::vector<Prefix> all;
    for (const char* text : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"})
      all.push_back(*parse_prefix(text));
    return all;
  }();
  return std::ranges::any_of(kPrivate,
                             [&](const Prefix& range) { return range.overlaps({prefix.address, range.bits}); });
}

// Returns whether a route may lead to a LAN. An engine's own bridges lead only to its containers.
bool may_be_a_lan(const std::string& device, const Prefix& to) {
  return is_private(to) && !is_engine_bridge(device) && device != kEgressNetwork;
}

// Returns whether an interface carries packets to another network than the machine's own.
bool leads_elsewhere(wire::InterfaceKind kind) {
  return kind != wire::InterfaceKind::bridge && kind != wire::InterfaceKind::other;
}

// Returns the milliseconds since 1970 by this machine's clock.
int64_t clock_ms() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// Judges what the machine's kernel can do, as far as its engine uses it. A feature that is not reported counts as
// missing.
void judge_kernel(const wire::EngineHello& engine, const std::string& name, Findings& found) {
  const std::string the_engine = "the engine of " + name;
  session::judge_limits(found, {engine.memory_limit, engine.cpu_limit, engine.pids_limit}, engine.rootless, the_engine);

  const std::string &version = engine.cgroup, &driver = engine.cgroup_driver;
  if (driver.empty() || driver == "none")
    found.warn("cgroup", the_engine + " does not use the kernel's cgroups",
               engine.rootless ? "boot that machine with cgroup v2; without root, v1 cannot limit anything"
                               : "check exec-opts (native.cgroupdriver) in its daemon.json");
  else  // before API 1.41 there was only cgroup v1, and it was not reported
    found.ok("cgroup", "cgroup v" + (version.empty() ? "1" : version) + ", driver " + driver);

  session::judge_seccomp(found, engine.seccomp, the_engine);

  const std::string& storage = engine.storage;
  static const std::map<std::string, const char*> kSlow = {
      {"vfs", "each container is a full copy of its image"},
      {"fuse-overlayfs", "everything an agent reads and writes goes through another process"}};
  if (auto slow = kSlow.find(storage); slow != kSlow.end())
    found.warn("storage", the_engine + " uses the storage driver " + storage + ": " + slow->second,
               engine.rootless ? "use overlay2; without root, it needs Linux 5.11 or later"
                               : "use overlay2 on a file system that supports it (ext4, or xfs with ftype=1)");
  else found.ok("storage", "storage driver " + storage);
}

// Judges whether there is an engine, and says what to do if there is none. Only an engine that answers is judged
// further.
void judge_engine(const Result<wire::EngineHello>& engine, const std::string& name, Findings& found) {
  // The engine exists, and its socket belongs to a group that the user is not in.
  if (!engine && engine.error().code == Code::denied)
    return found.fail(
        "engine", name + " has a container engine that you may not use: " + engine.error().what,
        "on that machine, add your user to the group that owns the engine's socket (`sudo usermod -aG docker "
        "\"$USER\"`), then sign in again");
  if (!engine)
    return found.fail("engine", "no container engine on " + name + ": " + engine.error().what,
                      "run `bottle remote setup " + shell_word(name) + "`");
  found.ok("engine", "Docker Engine " + engine->version + ", API " + engine->api);
  if (engine->rootless) found.ok("rootless", "the engine runs without root");
  judge_kernel(*engine, name, found);
}

}  // namespace

std::vector<Finding> judge_fitness(const wire::Hello& hello, const std::string& name, int64_t now_ms) {
  Findings found;
  judge_engine(hello.engine, name, found);
  session::judge_memory(found, hello.memory, name + " has " + decimal_size(hello.memory) + " of memory", "");
  session::judge_disk(found, "disk", hello.disk_free,
                      name + " has " + decimal_size(hello.disk_free) + " of free disk space", "");

  int64_t off = std::max<int64_t>(0, hello.clock_ms) - now_ms;
  if (off > kClockTolerance || off < -kClockTolerance)
    found.fail("clock",
               "the clock of " + name + " is off by " + std::to_string(off / 60000) +
                   " minutes, so certificates will not be valid on it",
               "set it with `sudo timedatectl set-ntp true`");
  else found.ok("clock", "the clocks agree");
  found.ok("kernel", "Linux " + hello.kernel + " on " + hello.machine);
  return found.take();
}

// The agent may take over that machine, so the machine must not lead back to the operator.
std::vector<Finding> judge_ways_back(const wire::Hello& hello, const std::string& name,
                                     const Result<std::vector<HostRoute>>& local_routes) {
  Findings found;
  for (const auto& [device, kind] : hello.interfaces)
    if (leads_elsewhere(kind))
      found.fail(
          "vpn",
          name + " has the interface " + device + " (" + word_of(kind) + "), which an agent that escapes could use",
          "use another machine, or accept this one with --allow-vpn");
  // Without these routes, nothing proves that the machine is outside the operator's network.
  if (!local_routes) {
    found.fail("lan_route", "the routes of your machine cannot be read: " + local_routes.error().what, "");
    return found.take();
  }
  for (const auto& [device, to] : hello.routes) {
    auto there = parse_prefix(to);
    // A text that is not a network cannot be compared, and an honest machine sends none.
    if (!there || !may_be_a_lan(device, *there)) continue;
    for (const auto& here : *local_routes)
      if (may_be_a_lan(here.device, here.to) && here.to.overlaps(*there))
        found.fail("lan_route",
                   name + " has a route to " + to_string(*there) + " (through " + device +
                       "), which overlaps your own network " + to_string(here.to),
                   "use a machine outside your network, or accept this one with --allow-vpn");
  }
  return found.take();
}

std::vector<Finding> remote_findings(const wire::Hello& hello, const std::string& name) {
  auto all = judge_fitness(hello, name, clock_ms());
  for (auto& finding : judge_ways_back(hello, name, host_routes())) all.push_back(std::move(finding));
  return all;
}

Result<> admit(const wire::Hello& hello, const std::string& name, bool allow_vpn) {
  auto check = [](Code code, const std::vector<Finding>& findings) -> Result<> {
    for (const auto& finding : findings)
      if (finding.severity == Severity::fail) return fail(code, finding.what, finding.todo);
    return {};
  };
  TRY(check(Code::unavailable, judge_fitness(hello, name, clock_ms())));
  // Only these findings depend on what the operator knows about the network. With the others, the session would fail
  // later in any case.
  if (!allow_vpn) TRY(check(Code::denied, judge_ways_back(hello, name, host_routes())));
  return {};
}

}  // namespace bottle::remote
