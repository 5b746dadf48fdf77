// The work is in a volume, which the engine reads only through a container that mounts it.
#include "session/collect/reach_work.h"

#include "base/defer.h"
#include "docker/answers.h"
#include "docker/describe.h"
#include "session/images/guard_image.h"
#include "session/ledger/ledger.h"
#include "session/ledger/ledger_file.h"
#include "session/ledger/names.h"

namespace bottle::session {

namespace {

std::string if_lost(const std::string& directory, AdviceFor reader) {
  const std::string begin = "; if the engine that has the session is gone for good, so is what it has of the session: ";
  if (reader == AdviceFor::this_machine) return begin + "remove the session's directory, " + directory;
  return begin + "run `bottle vm destroy` for the session's VM, or, if it has none, remove " + directory +
         " on that machine and then the session's directory from the state directory of your own machine";
}

}  // namespace

Result<std::unique_ptr<docker::Engine>> reach_engine(const LedgerView& view, const std::string& directory,
                                                     const docker::Connect& connect, AdviceFor reader) {
  auto engine = connect({view.engine, "the session's ledger"});
  if (!engine) {
    engine.error().todo += (engine.error().todo.empty() ? "start that engine again" : "") + if_lost(directory, reader);
    return engine;
  }
  // Earlier versions did not record the id.
  if (view.engine_id.empty()) return engine;
  if (TRY((*engine)->info()).is_of(view.engine_id)) return engine;
  return fail(Code::unavailable, "another engine answers at " + view.engine + " than the one that has the session",
              "start that engine again" + if_lost(directory, reader));
}

Result<> check_has_data(docker::Engine& engine, const std::string& session, const LedgerView& view,
                        const std::string& directory, AdviceFor reader) {
  if (!docker::names_data(view.engine_id)) return {};
  Belongings whose = belongings_of(session, view);
  std::erase_if(whose.things, [](const Thing& thing) { return thing.kind == ThingKind::ssh_agent; });
  // A ledger that names nothing on an engine says that nothing was made.
  if (whose.things.empty()) return {};
  for (const auto& thing : whose.things) {
    auto found = find_own(engine, whose, thing);
    if (found && *found) return {};
    // The name may belong to something else. After any other error, only the engine's identity can tell.
    if (!found && found.error().code != Code::conflict) break;
  }
  return check_gone(engine, view, directory, reader);
}

Result<> check_gone(docker::Engine& engine, const LedgerView& view, const std::string& directory, AdviceFor reader) {
  if (!view.engine_id.empty() && TRY(docker::describe(engine)).identity() == view.engine_id) return {};
  return fail(
      Code::unavailable,
      "the engine at " + view.engine +
          " has none of what this session made, and may not have the data that it had when the session started",
      "make sure that the engine's disk is mounted, for example below /var/lib/docker, and that no other engine "
      "has taken over the socket; if someone has removed Docker's local-kv.db, only the engine's networks are new, "
      "and what is missing is gone" +
          if_lost(directory, reader));
}

Result<std::optional<std::string>> reach_work(docker::Engine& engine, const Belongings& whose,
                                              const std::string& directory, const std::string& workdir,
                                              std::function<Result<>(uint64_t end)> note) {
  Names names(whose.session);
  if (auto id = TRY(find_own(engine, whose, {ThingKind::container, names.agent}))) return id;
  if (!TRY(find_own(engine, whose, {ThingKind::volume, names.work}))) return std::nullopt;
  // The transcript is in the home. A volume that does not exist must not be named, because the engine would make it.
  bool has_home = TRY(find_own(engine, whose, {ThingKind::volume, names.home})).has_value();
  engine.note_creates(std::move(note));
  Defer no_more_notes([&] { engine.note_creates({}); });
  auto made = [&]() -> Result<std::string> {
    auto mounts = nlohmann::json::array();
    auto mount = [&](const std::string& volume, const std::string& target) {
      mounts.push_back({{"Type", "volume"},
                        {"Source", volume},
                        {"Target", target},
                        {"ReadOnly", true},
                        {"VolumeOptions", {{"NoCopy", true}}}});
    };
    mount(names.work, workdir);
    if (has_home) mount(names.home, "/home/agent");
    // The agent's own image may be gone as well.
    std::string image = TRY(ensure_guard_image(engine));
    return engine.create_container(
        names.agent,
        {{"Image", image},
         {"Entrypoint", {"/guard"}},
         {"Labels", labels(whose.session, whose.owner, directory, "agent")},
         {"HostConfig",
          {{"NetworkMode", "none"}, {"CapDrop", {"ALL"}}, {"LogConfig", {{"Type", "none"}}}, {"Mounts", mounts}}}});
  }();
  return during("the container " + names.agent + " is gone, and the volume " + names.work +
                    ", which has the work, cannot be read without another",
                std::move(made));
}

Result<> note_asked(const std::string& directory, uint64_t end) {
  auto ledger = TRY(LedgerFile::open_unlocked(directory));
  return ledger.append({.asked = end}, LedgerFile::Flush::no);
}

Result<> stop_container_with_work(docker::Engine& engine, const std::string& container) {
  auto stopped = engine.stop_container(container, 3);
  if (stopped) return {};
  // An older Podman answers with an error for a container that was never started.
  auto said = engine.inspect_container(container);
  if (said && docker::is_at_rest(*said)) return {};
  return stopped;
}

}  // namespace bottle::session
