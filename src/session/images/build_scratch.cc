// Before a build makes anything on the engine, it records the names in a grave, as a session does in its ledger. The
// removal at the end proves nothing about a request that got no answer: a slow engine finds nothing to remove, and
// makes the thing a moment later.
#include "session/images/build_scratch.h"

#include <fcntl.h>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/unique_fd.h"
#include "session/ledger/graves.h"
#include "session/seccomp/seccomp.h"

namespace bottle::session {
namespace {

using nlohmann::json;

constexpr int kFirstStartMs = 60'000;
constexpr int kFinishMs = 1'800'000;  // time for dpkg to configure all packages on a slow machine
constexpr size_t kMostAnswered = 3;   // in lines

// Describes a container for programs that were downloaded but have never run. It has no network, no mounts and no
// capabilities except `capabilities`. It uses the engine's own seccomp profile unless the caller sets another one.
json container_of(const std::string& image, const std::string& session, const json& capabilities) {
  return {{"Image", image},
          {"Labels", labels(session, Owner::self(), "", "build")},
          {"HostConfig",
           {{"NetworkMode", "none"},
            {"CapDrop", {"ALL"}},
            {"CapAdd", capabilities},
            {"SecurityOpt", {"no-new-privileges"}},
            {"IpcMode", "private"},
            {"Memory", 2u << 30},
            {"MemorySwap", 2u << 30},
            {"Init", false},
            {"PidsLimit", 512},
            {"Ulimits", json::array({{{"Name", "core"}, {"Soft", 0}, {"Hard", 0}}})},
            {"LogConfig", {{"Type", "json-file"}, {"Config", {{"max-size", "1m"}, {"max-file", "1"}}}}}}}};
}

}  // namespace

Result<> import_archive(docker::Engine& engine, const std::string& archive, const std::string& reference,
                        const std::vector<std::string>& changes) {
  UniqueFd fd(::open(archive.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + archive);
  return engine.import_image(reference, source_of(fd.get(), "reading " + archive), changes);
}

BuildScratch::BuildScratch(docker::Engine& engine, const Directories& directories)
    : engine_(engine), directories_(directories), session_("build-" + random_hex(4)), names_(session_) {}

BuildScratch::~BuildScratch() {
  engine_.stop_on({});  // so that everything is removed even after a stop
  // The container goes first, because an image that a container uses cannot be removed. If one fails, or may appear
  // later, the record stays.
  bool gone = engine_.remove_container(names_.build) && engine_.remove_image(names_.unfinished);
  if (may_appear_) keep_grave(directories_, session_);
  else if (gone) remove_grave(directories_, session_);
}

template <class T>
Result<T> BuildScratch::noted(Result<T> made) {
  may_appear_ = may_appear_ || (!made && may_still_be_done(made.error()));
  return made;
}

Result<> BuildScratch::take(const std::string& archive) {
  // If the build is killed, this record remains, and a sweep finds and removes both.
  std::string engine_id = TRY(engine_.info()).id;
  TRY(write_grave(directories_, session_, engine_.socket(), engine_id,
                  {{ThingKind::image, names_.unfinished}, {ThingKind::container, names_.build}}));
  std::vector<std::string> changes;
  for (const auto& [key, value] : labels(session_, Owner::self(), "", "build"))
    changes.push_back("LABEL " + key + "=\"" + value + "\"");
  return noted(import_archive(engine_, archive, names_.unfinished, changes));
}

Result<std::vector<Line>> BuildScratch::ask_version(const std::string& provider) {
  json config = container_of(names_.unfinished, session_, json::array());
  config.update({{"Entrypoint", {"/usr/local/bin/" + provider}},
                 {"Cmd", {"--version"}},
                 {"User", "1000:1000"},
                 {"Env", {"HOME=/home/agent"}},
                 {"WorkingDir", "/"}});
  config["HostConfig"].update(
      {{"SecurityOpt", {"no-new-privileges", seccomp_option(agent_seccomp())}},
       {"ReadonlyRootfs", true},
       {"Tmpfs", {{"/tmp", "size=64m,nosuid,nodev"}, {"/home/agent", "size=64m,nosuid,nodev,uid=1000,gid=1000"}}}});
  std::string said = TRY(run(config, kFirstStartMs, "starting " + provider + " --version in a container"));
  // finish() uses the same name again.
  TRY(engine_.remove_container(names_.build));
  std::vector<Line> lines;
  for (const Line& line : lines_of(said.substr(0, 2000)))
    if (!line.empty() && lines.size() < kMostAnswered) lines.push_back(line);
  return lines;
}

// The scripts run as root, because root owns the files. They have no network, and their root is the container's root.
// The agents' seccomp profile is not used here, because groupadd fails if it cannot open the kernel's audit socket.
Result<> BuildScratch::finish() {
  json config =
      container_of(names_.unfinished, session_, {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"});
  config.update({{"Entrypoint", {"/bin/sh", "/var/lib/bottle/finish"}}, {"User", "0:0"}, {"WorkingDir", "/"}});
  TRY(run(config, kFinishMs, "configuring the Debian packages in a container"));
  return {};
}

Result<> BuildScratch::export_to(const std::string& archive) {
  UniqueFd fd(::open(archive.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("creating " + archive);
  return engine_.export_container(names_.build, [&](std::string_view bytes) { return write_all(fd.get(), bytes); });
}

Result<std::string> BuildScratch::run(const json& config, int patience_ms, const std::string& doing) {
  TRY(noted(engine_.create_container(names_.build, config)));
  TRY(engine_.start_container(names_.build));
  auto status = engine_.wait_container(names_.build, patience_ms);
  if (!status && status.error().code == Code::timed_out)
    return fail(Code::timed_out, doing + ": it did not end within " + std::to_string(patience_ms / 1000) + " s");
  int code = TRY(std::move(status));
  std::string said = TRY(engine_.logs(names_.build, kMostAnswered));
  if (code == 0) return said;
  return fail(Code::unavailable, doing + ": it ended with status " + std::to_string(code) +
                                     (said.empty() ? "" : ": " + folded(said, 400)));
}

}  // namespace bottle::session
