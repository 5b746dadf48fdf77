// Collects the facts about this machine that the plan and `bottle remote check` need: its engine, its memory and
// disk, and its networks. Facts that cannot be read stay empty, because the near side judges what is missing. The
// engine is slow, so everything else is gathered while its answers are on the way.
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <future>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/files/full_disk.h"
#include "base/ids.h"
#include "base/os/process.h"
#include "docker/describe.h"
#include "remote/far/far.h"
#include "remote/far/verbs.h"
#include "session/box/host_routes.h"
#include "session/collect/reach_work.h"
#include "session/images/own_images.h"

namespace bottle::remote {

using session::host_routes, session::image_identities;

namespace {

// Returns the kind of an interface. The kernel reports most kinds. Some VPN programs use ordinary tun devices or
// unknown kinds, so their usual names count, too.
wire::InterfaceKind kind_of(const std::string& interface) {
  using enum wire::InterfaceKind;
  std::string base = "/sys/class/net/" + interface;
  auto has = [&](const char* name) { return ::access((base + name).c_str(), F_OK) == 0; };
  auto says = [&](const char* name, const char* text) {
    auto content = read_file(base + name, 4096);
    return content && content->find(text) != std::string::npos;
  };
  if (has("/tun_flags")) return tun;
  if (says("/uevent", "DEVTYPE=wireguard")) return wireguard;
  if (says("/uevent", "DEVTYPE=vxlan") || says("/uevent", "DEVTYPE=geneve")) return overlay;
  // 512 is ARPHRD_PPP in <linux/if_arp.h>.
  if (says("/type", "512")) return ppp;
  if (says("/uevent", "DEVTYPE=bridge")) return bridge;
  for (const char* prefix : {"tailscale", "zt", "wg", "nebula", "utun"})
    if (interface.starts_with(prefix)) return vpn;
  return other;
}

// Lists the network interfaces from sysfs, which needs no privileges and includes interfaces that are down.
std::vector<wire::Interface> interfaces() {
  std::vector<wire::Interface> all;
  for (const auto& name : names_in("/sys/class/net").value_or(std::vector<std::string>()))
    if (name != "lo") all.push_back({name, kind_of(name)});
  return all;
}

Result<std::vector<wire::Route>> routes() {
  std::vector<wire::Route> all;
  for (const auto& route : TRY(host_routes())) all.push_back({route.device, to_string(route.to)});
  return all;
}

// Describes the engine. Also sets the free disk space and the images in `hello`, which only the engine reports.
Result<wire::EngineHello> ask_engine(const FarWorld& world, const PendingInfo& asked, wire::Hello& hello) {
  auto engine = TRY(engine_of(world));
  // The list comes from the engine while its slower description of itself is still on the way.
  auto images = engine->images();
  const auto& info = asked.get();
  if (!info) return std::unexpected(info.error());
  // The engine's files may be on another disk than the root directory.
  if (auto disk = free_bytes(info->root_directory)) hello.disk_free = *disk;
  if (images) hello.images = image_identities(*images);
  add_ids_elsewhere(world, hello.images);
  return wire::EngineHello{.socket = engine->socket(),
                           .api = engine->api_version(),
                           .version = info->version,
                           .rootless = info->is_rootless,
                           .runtimes = info->runtime_names(),
                           .cgroup = info->cgroup_version,
                           .cgroup_driver = info->cgroup_driver,
                           .storage = info->storage_driver,
                           .memory_limit = info->limits.memory,
                           .cpu_limit = info->limits.cpus,
                           .pids_limit = info->limits.pids,
                           .seccomp = info->has_seccomp,
                           .id = info->identity()};
}

}  // namespace

std::string roots_path(const FarWorld& world) {
  return std::filesystem::path(world.path_to_self).parent_path() / "roots.pem";
}

Result<std::unique_ptr<docker::Engine>> engine_of(const FarWorld& world) {
  return world.connect({TRY(world.engine_socket), "the remote machine"});
}

Result<std::unique_ptr<docker::Engine>> engine_of(const FarWorld& world, const std::string& name,
                                                  const session::LedgerView& ledger) {
  // A session without an engine in its ledger has made nothing yet.
  if (ledger.engine.empty()) return engine_of(world);
  return session::reach_engine(ledger, world.directories.session(name), world.connect, session::AdviceFor::near_side);
}

PendingInfo ask_info(const FarWorld& world) {
  return std::async(std::launch::async,
                    [&world]() -> Result<docker::EngineInfo> { return docker::describe(*TRY(engine_of(world))); })
      .share();
}

Result<wire::Hello> far_hello(const FarWorld& world, const PendingInfo& info) {
  struct utsname name{};
  ::uname(&name);
  struct sysinfo memory{};
  ::sysinfo(&memory);
  auto all_routes = TRY(routes());
  wire::Hello hello{.uid = ::getuid(),
                    .gid = ::getgid(),
                    .kernel = name.release,
                    .machine = name.machine,
                    .clock_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                    std::chrono::system_clock::now().time_since_epoch())
                                    .count(),
                    .memory = static_cast<uint64_t>(memory.totalram) * memory.mem_unit,
                    .disk_free = free_bytes("/").value_or(0),
                    .cpus = static_cast<uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))),
                    .interfaces = interfaces(),
                    .routes = std::move(all_routes),
                    .mosh = is_in_path("mosh-server"),
                    .engine_at = world.engine_at.value_or(0)};
  hello.engine = ask_engine(world, info, hello);
  if (auto roots = read_file(roots_path(world), 8 << 20)) hello.roots = content_hash(*roots);
  return hello;
}

}  // namespace bottle::remote
