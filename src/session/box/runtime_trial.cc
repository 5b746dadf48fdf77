// A runtime that the engine lists may not work at all, or hang forever, and then a session's start would hang with
// it. So each runtime is first tried with a container that only exits. A success is remembered under a hash of
// everything that could change the outcome. A failure is not remembered, so that an operator who fixes the runtime
// does not have to clear anything. The container has a record in `graves`, because this process may be killed while
// the runtime hangs.
#include "session/box/runtime_trial.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/text/path_parts.h"
#include "session/images/guard_image.h"
#include "session/ledger/graves.h"
#include "session/ledger/names.h"
#include "session/seccomp/seccomp.h"
#include "wire/machine/passed_trials.h"

namespace bottle::session {
namespace {

using nlohmann::json;

// Returns everything that the outcome of a trial depends on. If the runtime's program is not on this machine, because
// the engine is in a VM, it is assumed to change with the engine's version.
std::string circumstances(const docker::Engine& engine, const docker::EngineInfo& info, const std::string& runtime) {
  auto listed = info.runtimes.find(runtime);
  const auto& [program, description] = listed != info.runtimes.end() ? listed->second : docker::EngineInfo::Runtime();
  json seen = {engine.socket(), info.id, info.version, info.kernel, runtime, description};
  struct stat st{};
  for (const char* place : {"", "/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/"}) {
    if (program.starts_with('/') == (*place != 0) || ::stat((place + program).c_str(), &st) != 0) continue;
    seen.push_back({st.st_dev, st.st_ino, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec});
    break;
  }
  return content_hash(seen.dump(-1, ' ', true, json::error_handler_t::replace));
}

}  // namespace

// Removes the container even if creating it failed, because an engine may carry out a request whose answer did not
// come in time. If it cannot be removed, or may appear later, its record stays for a sweep.
RuntimeTrial try_runtime(docker::Engine& engine, const Directories& directories, const std::string& image,
                         const std::string& runtime) {
  const int patience_ms = std::min(20000, docker::call_timeout_ms());
  RuntimeTrial trial{runtime, "", 0};
  std::string session = "trial-" + random_hex(4), name = Names(session).trial;
  json config = {{"Image", image},
                 {"Entrypoint", {"/guard", "--try"}},
                 {"User", "65534:65534"},
                 {"Labels", labels(session, Owner::self(), "", "trial")},
                 {"HostConfig",
                  {{"NetworkMode", "none"},
                   {"Runtime", runtime},
                   {"ReadonlyRootfs", true},
                   {"CapDrop", {"ALL"}},
                   {"SecurityOpt", {"no-new-privileges", seccomp_option(guard_seccomp())}},
                   {"Memory", 256u << 20},
                   {"MemorySwap", 256u << 20},
                   {"Init", false},
                   {"PidsLimit", 64},
                   {"LogConfig", {{"Type", "none"}}}}}};
  auto begun = std::chrono::steady_clock::now();
  bool may_appear = false;
  auto tried = [&]() -> Result<int> {
    std::string engine_id = TRY(engine.info()).id;
    TRY(write_grave(directories, session, engine.socket(), engine_id, {{ThingKind::container, name}}));
    auto made = engine.create_container(name, config);
    may_appear = !made && may_still_be_done(made.error());
    TRY(std::move(made));
    TRY(engine.start_container(name, patience_ms));
    return engine.wait_container(name, patience_ms);
  }();
  trial.milliseconds = static_cast<int>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count());
  if (!tried)
    trial.problem = tried.error().code == Code::timed_out
                        ? "it did not answer within " + std::to_string(patience_ms / 1000) + " s"
                        : tried.error().what;
  else if (*tried != 0) trial.problem = "its program exited with status " + std::to_string(*tried);
  auto gone = engine.remove_container(name);
  if (may_appear) keep_grave(directories, session);
  else if (gone) remove_grave(directories, session);
  if (!gone)
    trial.problem +=
        (trial.problem.empty() ? "" : "; ") + gone.error().what + " (run `bottle cleanup` later to remove it)";
  return trial;
}

// The file with the passed trials may be damaged, but whatever it contains, the worst outcome is another trial. It is
// emptied beyond 100 entries, because each new version of an engine or a runtime adds one.
Result<> ensure_runtime(docker::Engine& engine, const Directories& directories, const docker::EngineInfo& info,
                        const std::string& path, const std::string& wanted) {
  bool named = wanted != "auto" && !wanted.empty();
  std::string runtime = named ? wanted : info.default_runtime;
  std::string key = circumstances(engine, info, runtime);
  auto passed = then(read_file(path, wire::PassedTrials::kMost), [](const std::string& text) {
                  return wire::decode<wire::PassedTrials>(text, wire::From::ours);
                }).value_or(wire::PassedTrials());
  if (passed.runtimes.size() > 100) passed.runtimes.clear();
  if (passed.runtimes.contains(key)) return {};
  // The trial is recorded in this directory first. If that is impossible, the runtime is not to blame.
  if (auto made = make_directories(graves_in(directories)); !made) {
    made.error().todo =
        "bottle keeps its sessions in this directory; fix the cause, or set XDG_STATE_HOME to another directory";
    return made;
  }
  auto trial = try_runtime(engine, directories, TRY(ensure_guard_image(engine)), runtime);
  if (!trial.problem.empty())
    return fail(
        Code::unavailable,
        "the runtime " + runtime + (named ? "" : ", the engine's default,") + " does not work: " + trial.problem,
        "choose another one with `runtime:` or --runtime; `bottle doctor` tries all that the engine lists");
  passed.runtimes[key] = runtime;
  // If two processes start at the same time, one may overwrite the other's record. The lost trial then runs again.
  TRY(make_directories(parent_of(path)));
  (void)write_file_atomically(path, wire::encode(passed) + "\n");
  return {};
}

}  // namespace bottle::session
