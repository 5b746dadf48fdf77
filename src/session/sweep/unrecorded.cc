// Labels prove nothing, so each step narrows the selection. Only things count whose owner label names this user and a
// dead process, and that no ledger or grave in the state directory names or may name. For a removal, the name and the
// kind must also be those that a session of the label's name would make. The removal then finds each thing by that
// session's labels again.
//
// Several machines may use one engine, over a forwarded socket or one that is mounted into a container. A process of
// another machine, or of another PID namespace, looks dead to this process. So nothing of a session is removed while
// one of its containers runs, unless its owner was a process of this boot and its guard, which ends with its
// supervisor, does not run.
//
// Without the ledger, there is no record of how to bring the work home, so the workspace is kept as an archive,
// unsorted and unchecked.
#include "session/sweep/unrecorded.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/files/file.h"
#include "base/ids.h"
#include "docker/answers.h"
#include "session/collect/collect.h"
#include "session/collect/reach_work.h"
#include "session/ledger/graves.h"
#include "session/ledger/names.h"
#include "session/ledger/teardown.h"

namespace bottle::session {
namespace {

using docker::text_of;

// Returns whether a ledger or a grave in the state directory names the thing. A sweep then takes care of it. A ledger
// that cannot be read may name it, and a sweep reports that ledger.
bool is_recorded(const Directories& directories, const std::string& session, const Thing& thing) {
  if (!is_session_name(session)) return false;
  auto names_it = [&](const Result<LedgerView>& view) {
    return view ? std::ranges::count(view->things, thing) > 0 : view.error().code != Code::not_found;
  };
  auto graves = graves_of(directories, session);
  return names_it(read_ledger(directories, session)) || !graves ||
         std::ranges::any_of(*graves, [&](const auto& grave) { return names_it(read_grave(directories, grave)); });
}

// Returns why a session with this running container may be alive although its owner does not run on this machine, as a
// clause; or an empty string.
std::string may_be_alive(const Unrecorded& container) {
  if (!container.owner.of_this_boot())
    return "it is running, and its supervisor may be on another machine that uses this engine";
  if (container.thing.name == Names(container.session).guard)
    return "it is running, and ends with its supervisor, which may be in another container";
  return "";
}

// Spares everything that belongs to a session that may be alive.
Result<> spare_living(docker::Engine& engine, std::vector<Unrecorded>& all) {
  if (all.empty()) return {};
  std::map<std::pair<std::string, std::string>, std::string> alive;  // by session and owner, as in the labels
  std::set<std::string> running;
  for (const auto& item : TRY(engine.containers()))
    // A container that was made and not started has no process, and neither has one that has ended.
    if (std::string state = text_of(item, "State"); state != "created" && state != "exited" && state != "dead")
      for (const auto& name : docker::member(item, "Names"))
        if (name.is_string()) running.insert(name.get<std::string>());
  auto session_of = [](const Unrecorded& each) { return std::pair(each.session, each.owner.to_label()); };
  for (auto& each : all) {
    // The engine puts a slash before the names of containers.
    if (each.thing.kind != ThingKind::container || !running.contains("/" + each.thing.name)) continue;
    if (each.spared = may_be_alive(each); !each.spared.empty())
      alive[session_of(each)] = "the container " + each.thing.name + " of its session is running";
  }
  for (auto& each : all)
    if (auto found = alive.find(session_of(each)); found != alive.end() && each.spared.empty())
      each.spared = found->second;
  return {};
}

// Saves the agent's workspace as an archive, in a new results directory.
std::optional<wire::WorkResult> save_work(const Directories& directories, docker::Engine& engine,
                                          const Belongings& what, const Progress& progress) {
  Names names(what.session);
  if (!std::ranges::count(what.things, Thing{ThingKind::volume, names.work}))
    return std::nullopt;  // bind mode has no volume
  auto id = reach_work(engine, what, "", "/workspace", {});
  if (!id) return wire::WorkResult{.error = id.error().what, .held = true};
  if (!*id) return std::nullopt;
  if (auto stopped = stop_container_with_work(engine, **id); !stopped)
    return held_result(what.session, "the agent may still be running: " + stopped.error().what);
  // A session of that name may have left its results on this machine, so the archive goes beside them.
  std::string results = directories.results_of(what.session);
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(results, ignored))) results += "-" + random_hex(3);
  if (auto made = make_directories(results); !made) return wire::WorkResult{.error = made.error().what, .held = true};
  // There is no repository to sort the work against, so it is kept as an archive.
  auto back =
      collect(engine, what.session, {.workdir = "/workspace", .results = results, .only_archive = true}, "", progress);
  ::rmdir(results.c_str());
  if (!back.archive.empty()) back.text = "The workspace as the agent left it, unchecked: " + back.archive;
  return back;
}

}  // namespace

Result<std::vector<Unrecorded>> find_unrecorded(const Directories& directories, docker::Engine& engine) {
  std::vector<Unrecorded> all;
  for (ThingKind kind : {ThingKind::container, ThingKind::network, ThingKind::volume}) {
    for (const auto& [thing, labels] : TRY(list_labeled(engine, kind, "bottle.session"))) {
      auto owner = Owner::from_label(value_of(labels, "bottle.owner"));
      // Another user's session, or one that runs with its state in another directory, is left alone.
      if (!owner || owner->uid != ::getuid() || !owner->is_gone()) continue;
      Unrecorded found{thing, value_of(labels, "bottle.session"), *owner, value_of(labels, "bottle.ledger")};
      if (is_recorded(directories, found.session, found.thing)) continue;
      if (!is_session_name(found.session) || !Names(found.session).has(found.thing))
        found.spared = "no session makes that name";
      all.push_back(std::move(found));
    }
  }
  TRY(spare_living(engine, all));
  return all;
}

std::vector<Swept> remove_unrecorded(const Directories& directories, docker::Engine& engine,
                                     const std::vector<Unrecorded>& found, const Progress& progress) {
  std::map<std::pair<std::string, std::string>, Belongings> sessions;
  for (const auto& each : found) {
    if (!each.spared.empty()) continue;
    // Several sessions with the same name may have died, so the owner is part of the key.
    auto& what = sessions[{each.session, each.owner.to_label()}];
    what.session = each.session;
    what.owner = each.owner;
    what.things.push_back(each.thing);
  }
  std::vector<Swept> all;
  for (auto& [unused, what] : sessions) {
    Swept swept;
    // If only the volume is left, save_work() makes such a container.
    Names names(what.session);
    Thing agent{ThingKind::container, names.agent};
    if (std::ranges::count(what.things, Thing{ThingKind::volume, names.work}) &&
        !std::ranges::count(what.things, agent))
      what.things.push_back(agent);
    swept.back = save_work(directories, engine, what, progress);
    swept.receipt =
        swept.back && swept.back->held
            ? tear_down_except_work(engine, std::move(what), "it holds the work: " + swept.back->error).receipt
            : tear_down(engine, what);
    all.push_back(std::move(swept));
  }
  return all;
}

}  // namespace bottle::session
