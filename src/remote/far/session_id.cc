#include "remote/far/session_id.h"

#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/os/deadline.h"
#include "base/text/line.h"
#include "docker/describe.h"
#include "remote/far/verbs.h"
#include "session/console/client.h"
#include "session/ledger/files.h"
#include "session/ledger/ledger.h"
#include "session/ledger/names.h"
#include "session/ledger/teardown.h"

namespace bottle::remote {

using session::connect_to, session::read_ledger;

Result<bool> is_there(const FarWorld& world, const SessionId& which) {
  auto view = read_ledger(world.directories, which.name);
  if (!view && view.error().code != Code::not_found) return std::unexpected(std::move(view.error()));
  return view && view->id == which.id;
}

Result<std::optional<UniqueFd>> find_supervisor(const FarWorld& world, const SessionId& which) {
  for (auto deadline = Deadline::in(world.supervisor_patience);;) {
    auto view = read_ledger(world.directories, which.name);
    if (!view && view.error().code == Code::not_found) return std::nullopt;
    if (!view) return std::unexpected(std::move(view.error()));
    if (view->id != which.id) return std::nullopt;
    auto connected = connect_to(world.directories.session(which.name) + "/" + session::kSocket);
    if (connected) return std::move(*connected);
    // Other errors are those of this process and say nothing about the supervisor.
    if (connected.error().code != Code::not_found && connected.error().code != Code::unavailable)
      return std::unexpected(std::move(connected.error()));
    if (view->owner.is_gone()) return std::nullopt;
    if (deadline.is_over())
      return fail(Code::unavailable, "the supervisor of session " + which.name + " runs, but does not answer");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

namespace {

std::unexpected<Error> fail_for_other_engine(const std::string& session) {
  return fail(Code::unavailable,
              "the remote machine has no record of session " + session +
                  ", and its container engine or the engine's data has changed since the session started",
              std::string("make sure that the engine of that machine and its disk are what they were then, for example "
                          "that /var/lib/docker is mounted and that DOCKER_HOST and the Docker context are the same, "
                          "and try again") +
                  kIfLost);
}

std::unexpected<Error> fail_for_unknown_engine(const std::string& session) {
  return fail(
      Code::unavailable,
      "found nothing that session " + session +
          " made on the remote machine, but cannot tell whether its engine is the one that the session started on",
      std::string("look for the session's work on that machine") + kIfLost);
}

}  // namespace

// An image may have been made from an agent's container and have its labels, so only the names of a session's things
// count. The machine may have another session of that name, whose things have the label of its owner, and so may
// another user whose sessions are on the same engine.
Result<> check_engine_has_none(const FarWorld& world, const SessionId& which,
                               const std::optional<std::string>& engine_id) {
  auto other = read_ledger(world.directories, which.name);
  auto engine = TRY(engine_of(world));
  // What another engine has or does not have says nothing about the session.
  if (engine_id && !engine_id->empty() && TRY(docker::describe(*engine)).identity() != *engine_id)
    return fail_for_other_engine(which.name);
  session::Names names(which.name);
  std::string found;
  for (auto kind : {session::ThingKind::container, session::ThingKind::volume})
    for (const auto& each : TRY(session::list_labeled(*engine, kind, "bottle.session=" + which.name))) {
      auto owner = session::Owner::from_label(session::value_of(each.labels, "bottle.owner"));
      bool is_of_other =
          owner && (owner->uid != ::geteuid() || (other && owner->to_label() == other->owner.to_label()));
      if (is_of_other || !names.has(each.thing)) continue;
      found += (found.empty() ? "" : ", ") + word_of(kind) + " " + each.thing.name;
    }
  if (!found.empty())
    return fail(
        Code::unavailable,
        "the remote machine has no record of session " + which.name + ", but its engine has " + one_line(found, 500),
        "make sure that bottle's state directory on that machine is where it was when the session started, for "
        "example that its disk is mounted and XDG_STATE_HOME is the same; if another session of that name made "
        "these, wait for its end; if they are left over and their work does not matter, remove them on that machine "
        "with docker");
  if (engine_id && engine_id->empty()) return fail_for_unknown_engine(which.name);
  return {};
}

}  // namespace bottle::remote
