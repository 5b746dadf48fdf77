// Implements what remote machines and VMs share: the transport of the terminal's keystrokes, and the check for plans
// that cannot leave this machine. mosh is optional: if anything keeps it from working, the terminal uses the
// session's own connection.
#include "app/place/place.h"

#include <cstdlib>
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

std::function<std::unique_ptr<session::Typing>()> mosh_typing(remote::FarSide far, const std::string& session,
                                                              const Transport& transport, const Progress& progress) {
  return [far = std::move(far), session, transport, progress]() mutable -> std::unique_ptr<session::Typing> {
    // The agent runs, so this machine's ledger has the session's id.
    auto view = session::read_ledger(directories(), session);
    auto mosh = view ? remote::start_mosh(far, session, view->id, transport.mosh)
                     : Result<std::unique_ptr<session::Typing>>(std::unexpected(view.error()));
    if (mosh) return std::move(*mosh);
    progress("the terminal uses ssh: " + mosh.error().what +
             (mosh.error().todo.empty() ? "" : " (" + mosh.error().todo + ")"));
    return nullptr;
  };
}

std::function<std::unique_ptr<session::Typing>()> recorded_typing(const std::string& session,
                                                                  const Transport& transport,
                                                                  const Progress& progress) {
  // The address of a VM is in the record only once the VM exists, so it is read when the agent already runs.
  return [session, transport, progress]() -> std::unique_ptr<session::Typing> {
    auto side = [&]() -> Result<remote::FarSide> {
      auto view = TRY(session::read_ledger(directories(), session));
      if (!view.remote) return fail(Code::not_found, "session " + session + " runs on this machine");
      return remote::FarSide::reach(*view.remote, false, progress);
    }();
    if (side) return mosh_typing(std::move(*side), session, transport, progress)();
    progress("the terminal uses ssh: " + side.error().what);
    return nullptr;
  };
}

Result<> check_elsewhere(const plan::Plan& plan, const std::string& where, const Transport& transport) {
  if (plan.workspace_mode == manifest::WorkspaceMode::bind)
    return fail(Code::invalid, "workspace: bind needs this machine's own files, and they are not on " + where,
                "use clone or copy, for example with --workspace clone");
  // mosh can carry only a terminal.
  if (transport.is_mosh() && plan.headless)
    return fail(Code::invalid, "--transport mosh needs a terminal, and --headless has none",
                "leave out --transport mosh");
  return {};
}

Result<wire::Far> far_from_here() {
  wire::Far far;
  far.program = TRY(remote::own_hash());
  return far;
}

Result<wire::Far> far_to(const std::string& target) {
  auto parsed = ssh::parse_target(target);
  if (!parsed)
    return fail(parsed.error().code, parsed.error().what, "write it as me@vm.example.org or me@vm.example.org:2222");
  wire::Far far = TRY(far_from_here());
  far.target = std::move(*parsed);
  return far;
}

}  // namespace bottle::app
