#include "remote/far/session_id.h"

#include <chrono>
#include <thread>

#include "base/os/deadline.h"
#include "session/console/client.h"
#include "session/ledger/files.h"
#include "session/ledger/ledger.h"

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

}  // namespace bottle::remote
