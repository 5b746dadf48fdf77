// mosh is optional: if anything keeps it from working, the terminal uses the session's own connection.
#include "app/place/typing.h"

#include <memory>
#include <utility>

#include "app/world/world.h"
#include "session/ledger/ledger.h"

namespace bottle::app {

Result<> check(const Transport& transport) {
  if (transport.is_mosh()) return remote::check_mosh(transport.mosh);
  if (transport.name != "ssh")
    return fail(Code::invalid, "there is no transport '" + transport.name + "'",
                "use --transport ssh or --transport mosh");
  if (!transport.mosh.ports.empty())
    return fail(Code::invalid, "--mosh-ports needs --transport mosh", "add it, or leave out --mosh-ports");
  return {};
}

session::BeginTyping mosh_typing(remote::FarSide far, const std::string& session, const Transport& transport,
                                 const Progress& progress) {
  return [far = std::move(far), session, transport, progress]() mutable -> std::unique_ptr<session::Typing> {
    // The agent runs, so this machine's ledger has the session's id.
    auto view = session::read_ledger(directories(), session);
    auto mosh = then(view, [&](const auto& own) { return remote::start_mosh(far, session, own.id, transport.mosh); });
    if (mosh) return std::move(*mosh);
    progress("the terminal uses ssh: " + mosh.error().what +
             (mosh.error().todo.empty() ? "" : " (" + mosh.error().todo + ")"));
    return nullptr;
  };
}

session::BeginTyping recorded_typing(const std::string& session, const Transport& transport, const Progress& progress) {
  // The address of a VM is in the record only once the VM exists, so it is read when the agent already runs.
  return [session, transport, progress]() -> std::unique_ptr<session::Typing> {
    auto side = [&]() -> Result<remote::FarSide> {
      auto view = TRY(session::read_ledger(directories(), session));
      if (!view.machine) return fail(Code::not_found, "session " + session + " runs on this machine");
      return remote::FarSide::reach(*view.machine, {.progress = progress});
    }();
    if (side) return mosh_typing(std::move(*side), session, transport, progress)();
    progress("the terminal uses ssh: " + side.error().what);
    return nullptr;
  };
}

}  // namespace bottle::app
