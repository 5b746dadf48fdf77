// A meter is a container of the guard's image that runs for as long as one count. It mounts the volumes of the agent's
// container, also those that the image declares, because the agent could exchange the directories above them. How it
// sees the rest depends on the agent's runtime. With runc and similar runtimes, it joins the agent's process namespace.
// There, /proc/1/root leads to the writable layer, and the descriptors in /proc lead to files that were deleted but are
// still open. A runtime with its own kernel hides all of this, so the engine measures the layer.
//
// Only files that are newer than the container's start count, so the meter gets that time. Its answer is one JSON
// object.
#include "session/disk/meter.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <set>

#include "base/defer.h"
#include "base/os/poller.h"
#include "base/timestamp.h"
#include "docker/answers.h"
#include "docker/demux.h"
#include "session/disk/disk_trigger.h"
#include "session/images/guard_image.h"
#include "session/ledger/names.h"
#include "session/ledger/teardown.h"
#include "session/seccomp/seccomp.h"

namespace bottle::session {
namespace {

using wire::Job;
using namespace std::chrono_literals;
using docker::member, docker::text_of;
using nlohmann::json;

constexpr auto kPatience = 60s;
// The meter prints one short object, but its output passes through the engine. The limit is in bytes.
constexpr size_t kMostOutput = 1024;

// Returns whether containers of this runtime use the kernel of the machine. An unknown name counts as one that does
// not.
bool shares_the_kernel(const std::string& runtime) {
  return runtime == "runc" || runtime == "crun" || runtime == "io.containerd.runc.v2";
}

// Reads the meter's output until it ends.
Result<std::string> read_output(docker::Attached& attached) {
  auto deadline = Deadline::in(kPatience);
  docker::Demux demux;
  std::string output;
  auto take = [&](std::string_view bytes) {
    return demux.feed(bytes, [&](int stream, std::string_view chunk) {
      if (stream == 1) output += chunk.substr(0, kMostOutput - std::min(kMostOutput, output.size()));
    });
  };
  TRY(take(attached.take_early()));
  while (wait_readable(attached.fd(), deadline)) {
    char buffer[4096];
    ssize_t n = ::read(attached.fd(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("reading what the meter counted");
    if (n == 0) return output;
    TRY(take({buffer, static_cast<size_t>(n)}));
  }
  return fail(Code::timed_out, "counting what the agent wrote took longer than a minute");
}

// Makes the container, and returns its id. Fails with Code::denied if a container of another owner has its name.
Result<std::string> make_meter(docker::Engine& engine, const std::string& session, const json& config) {
  std::string name = Names(session).meter;
  Owner owner = TRY(Owner::from_label(text_of(member(config, "Labels"), "bottle.owner")));
  auto last = find_own(engine, {session, owner, {}}, {ThingKind::container, name});
  if (last && *last) TRY(engine.remove_container(**last));  // an earlier attempt could not remove it
  auto made = last ? engine.create_container(name, config) : std::unexpected(std::move(last.error()));
  if (!made && made.error().code == Code::conflict)
    return fail(Code::denied, "the container " + name + " was not made by this session");
  return made;
}

// Returns the names of the volumes in the agent's container. Other mounts are in memory, or are the operator's files.
Result<std::set<std::string>> volumes_of(const json& agent) {
  const json& mounts = member(agent, "Mounts");
  if (!mounts.is_array())
    return fail(Code::protocol, "the engine did not say what is mounted in the agent's container");
  std::set<std::string> names;
  for (const auto& mount : mounts) {
    if (text_of(mount, "Type") != "volume") continue;
    std::string name = text_of(mount, "Name");
    if (name.empty()) return fail(Code::protocol, "the engine did not name a volume of the agent's container");
    names.insert(name);
  }
  return names;
}

}  // namespace

Result<MeterContainer> meter_container(const json& agent, const Labels& labels, std::chrono::seconds behind) {
  auto since = parse_timestamp(text_of(member(agent, "State"), "StartedAt"));
  if (!since) return fail(Code::protocol, "the engine did not say when the agent's container started");
  auto volumes = TRY(volumes_of(agent));
  std::string runtime = text_of(member(agent, "HostConfig"), "Runtime");
  json argv = {"--measure", std::to_string(since->tv_sec - behind.count()), std::to_string(since->tv_nsec)};
  json host = {{"NetworkMode", "none"},
               {"ReadonlyRootfs", true},
               {"CapDrop", {"ALL"}},
               // These allow it to read directories that the agent has closed, and to see the agent's root and open
               // files.
               {"CapAdd", {"DAC_READ_SEARCH", "SYS_PTRACE"}},
               {"SecurityOpt", {"no-new-privileges", seccomp_option(agent_seccomp())}},
               {"Memory", 128u << 20},
               {"MemorySwap", 128u << 20},
               {"Init", false},
               {"NanoCpus", 1'000'000'000},
               {"PidsLimit", 16},
               {"LogConfig", {{"Type", "none"}}}};
  bool inside = shares_the_kernel(runtime);
  if (inside) {
    host["PidMode"] = "container:" + text_of(agent, "Id");
    host["Runtime"] = runtime;
    argv.push_back("/proc/1/root/");
  }
  // The meter does not cross from one file system to another, so each volume is named.
  host["Mounts"] = json::array();
  for (const auto& volume : volumes) {
    std::string target = "/written/" + std::to_string(host["Mounts"].size());
    host["Mounts"].push_back({{"Type", "volume"},
                              {"Source", volume},
                              {"Target", target},
                              {"ReadOnly", true},
                              {"VolumeOptions", {{"NoCopy", true}}}});
    argv.push_back(target);
  }
  // The meter runs as root, because an engine gives added capabilities only to root's processes.
  json config = {{"Image", guard_reference()}, {"Entrypoint", {"/guard"}}, {"Cmd", argv},       {"User", "0:0"},
                 {"Labels", labels},           {"AttachStdout", true},     {"HostConfig", host}};
  return MeterContainer{std::move(config), !inside};
}

Result<wire::WrittenCount> count_written(docker::Engine& engine, const Job& job, const Labels& labels,
                                         std::chrono::seconds behind) {
  Names names(job.plan.session);
  json agent = TRY(engine.inspect_container(names.agent));
  auto meter = TRY(meter_container(agent, labels, behind));
  // This comes first, because the engine reads the whole layer for it, and the meter's time limit must not include
  // that.
  uint64_t layer = meter.needs_layer ? TRY(engine.layer_size(names.agent)) : 0;
  std::string id = TRY(make_meter(engine, job.plan.session, meter.config));
  Defer remove([&] { (void)engine.remove_container(id); });
  // This comes before the start. Otherwise, the output of a fast meter would be lost.
  auto attached = TRY(engine.attach(id));
  TRY(engine.start_container(id));
  std::string output = TRY(read_output(attached));
  auto count = TRY(wire::decode<wire::WrittenCount>(output, wire::From::foreign));
  return wire::WrittenCount{layer + count.bytes, count.complete};
}

}  // namespace bottle::session
