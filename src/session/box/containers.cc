// Each setting below closes a way out or limits what an agent can take from the machine. No important setting is left
// to a default, because an engine merges the settings of the image and of its own configuration into a container, and
// both may contain anything.
//
// The two containers differ in who runs in them. The guard is our own program on a read-only root, as an unprivileged
// user, and the supervisor holds its stdin, so that it ends with the supervisor. The agent runs with the operator's
// uid, so that the files of a mounted workspace stay the operator's. Its root file system is writable and is removed
// with the container.
#include "session/box/containers.h"

#include "manifest/manifest.h"
#include "session/ledger/names.h"
#include "session/seccomp/seccomp.h"

namespace bottle::session {

using nlohmann::json;
using wire::Job;

namespace {

// The guard has one thread. An agent that keeps it busy takes no more than one processor from the machine.
constexpr int64_t kGuardCpus = 1;
// In bytes. Thousands of idle connections need most of it (guard/core/context.h).
constexpr int64_t kGuardMemory = 768 << 20;

}  // namespace

// The guard listens at port 53 for names without privileges, which `ip_unprivileged_port_start` permits. A log, a core
// dump or swap could put what it reads, including secrets, on the engine's disk, so it has none of them. `MemorySwap`
// is the sum of memory and swap. Without it, the engine allows as much swap as memory. An engine on a kernel that does
// not count swap ignores it with a warning.
json guard_container(const std::string& image, const Labels& labels) {
  return {{"Image", image},
          {"Entrypoint", {"/guard"}},
          {"User", "65534:65534"},
          {"AttachStdin", true},
          {"AttachStdout", true},
          {"AttachStderr", true},
          {"OpenStdin", true},
          {"StdinOnce", true},  // the guard ends when the supervisor dies, so that the bottle fails closed
          {"Labels", labels},
          {"HostConfig",
           {{"NetworkMode", kEgressNetwork},
            {"ReadonlyRootfs", true},
            {"CapDrop", {"ALL"}},
            {"SecurityOpt", {"no-new-privileges", seccomp_option(guard_seccomp())}},
            {"Memory", kGuardMemory},
            {"MemorySwap", kGuardMemory},
            {"Init", false},
            {"NanoCpus", kGuardCpus * 1'000'000'000},
            {"PidsLimit", 64},
            {"LogConfig", {{"Type", "none"}}},
            {"Ulimits", json::array({{{"Name", "core"}, {"Soft", 0}, {"Hard", 0}}})},
            // The guard has two network interfaces. Without these settings it would forward any packet that is
            // addressed to its MAC.
            {"Sysctls",
             {{"net.ipv4.ip_forward", "0"},
              {"net.ipv6.conf.all.forwarding", "0"},
              {"net.ipv4.ip_unprivileged_port_start", "0"}}}}}};
}

// The address is fixed, because the agent's container and the guard's configuration name it before the guard starts.
json guard_endpoint(const Subnet& subnet) {
  return {{"IPAMConfig", {{"IPv4Address", subnet.guard}}}, {"Aliases", {"guard"}}};
}

json offline_guard_container(const std::string& image, const std::string& network, const Subnet& subnet,
                             const Labels& labels) {
  json config = guard_container(image, labels);
  config["HostConfig"]["NetworkMode"] = network;
  config["NetworkingConfig"] = {{"EndpointsConfig", {{network, guard_endpoint(subnet)}}}};
  return config;
}

// The session's network is the only one, and the guard is its only name server. Without `DnsSearch`, the engine would
// add the host's own search domains. IPv6 is off, so that no link-local address leads to another neighbor. What the
// inside helper writes to /run/bottle is in memory only. Without capabilities and with `no-new-privileges`, programs
// with setuid bits in the image are ordinary programs. An image may name a `StopSignal` that only its own server
// understands, or SIGKILL, which leaves no time to save work.
json agent_container(const Job& job, const Subnet& subnet, const std::string& host_address, const Labels& labels) {
  const auto& plan = job.plan;
  Names names(plan.session);
  std::string user = std::to_string(plan.uid) + ":" + std::to_string(plan.gid);
  std::string tmpfs =
      "rw,exec,nosuid,nodev,size=64m,mode=0700,uid=" + std::to_string(plan.uid) + ",gid=" + std::to_string(plan.gid);
  json host = {{"NetworkMode", names.network},
               {"CapDrop", {"ALL"}},
               {"SecurityOpt", {"no-new-privileges", seccomp_option(agent_seccomp())}},
               {"Memory", plan.resources.memory},
               {"MemorySwap", plan.resources.memory},
               {"Init", false},  // the inside helper must be PID 1
               {"NanoCpus", static_cast<int64_t>(plan.resources.cpus * 1e9)},
               {"PidsLimit", plan.resources.pids},
               {"IpcMode", "private"},
               {"ShmSize", plan.resources.shm},
               {"Dns", {subnet.guard}},
               {"DnsSearch", {"."}},
               {"ExtraHosts", {"guard:" + subnet.guard}},
               {"Tmpfs", {{"/run/bottle", tmpfs}}},
               {"LogConfig", {{"Type", "none"}}},
               {"Ulimits", json::array({{{"Name", "core"}, {"Soft", 0}, {"Hard", 0}}})},
               {"Sysctls", {{"net.ipv6.conf.all.disable_ipv6", "1"}, {"net.ipv4.ip_forward", "0"}}}};
  if (plan.runtime != "auto" && !plan.runtime.empty()) host["Runtime"] = plan.runtime;
  // These volumes have names and labels, unlike anonymous ones, so they can be found and removed even if the engine
  // dies while it makes them.
  auto volume = [&](const std::string& name, const std::string& target) -> json {
    return {{"Type", "volume"}, {"Source", name}, {"Target", target}, {"VolumeOptions", {{"Labels", labels}}}};
  };
  host["Mounts"] = json::array({volume(names.home, "/home/agent")});
  if (plan.workspace_mode == manifest::WorkspaceMode::bind)
    host["Mounts"].push_back({{"Type", "bind"},
                              {"Source", plan.workspace},
                              {"Target", plan.workdir},
                              {"BindOptions", {{"Propagation", "rprivate"}}}});
  else host["Mounts"].push_back(volume(names.work, plan.workdir));
  return {{"Image", plan.image.reference},
          {"Entrypoint", {"/.bottle/inside"}},
          {"Cmd", json::array()},
          {"User", user},
          {"WorkingDir", plan.workdir},
          {"Hostname", "bottle"},
          {"Tty", !plan.headless},
          {"AttachStdin", true},
          {"AttachStdout", true},
          {"AttachStderr", true},
          {"OpenStdin", true},
          {"StdinOnce", false},
          {"StopSignal", "SIGTERM"},
          {"Labels", labels},
          // The engine merges the image's settings with these. A health check of the image would run before the gate is
          // open.
          {"Healthcheck", {{"Test", {"NONE"}}}},
          {"Env",
           {"BOTTLE_GUARD=" + subnet.guard + ":3128", "BOTTLE_GATEWAY=" + subnet.gateway,
            "BOTTLE_PROBE_HOSTS=" + host_address, "BOTTLE_RUNTIME=" + plan.runtime}},
          {"HostConfig", host},
          {"NetworkingConfig",
           {{"EndpointsConfig",
             {{names.network, {{"IPAMConfig", {{"IPv4Address", subnet.agent}}}, {"Aliases", {"agent"}}}}}}}}};
}

}  // namespace bottle::session
