#include "remote/far/session_id.h"

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

Result<UniqueFd> connect_to_session(const FarWorld& world, const SessionId& which) {
  if (!TRY(is_there(world, which))) return fail(Code::not_found, "there is no session " + which.name + " with this id");
  return connect_to(world.directories.session(which.name) + "/" + session::kSocket);
}

}  // namespace bottle::remote
