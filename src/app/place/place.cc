#include "app/place/place.h"

#include <cstdlib>

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
                                                              const Transport& transport, const Say& say) {
  return [far = std::move(far), session, transport, say]() mutable -> std::unique_ptr<session::Typing> {
    auto mosh = remote::start_mosh(far, session, transport.mosh);
    if (mosh) return std::move(*mosh);
    say("the terminal uses ssh: " + mosh.error().what +
        (mosh.error().todo.empty() ? "" : " (" + mosh.error().todo + ")"));
    return nullptr;
  };
}

std::function<std::unique_ptr<session::Typing>()> recorded_typing(const std::string& session,
                                                                  const Transport& transport, const Say& say) {
  return [session, transport, say]() -> std::unique_ptr<session::Typing> {
    auto side = [&]() -> Result<remote::FarSide> {
      auto view = TRY(session::read_ledger(directories(), session));
      if (!view.remote) return fail(Code::not_found, "session " + session + " runs on this machine");
      return remote::FarSide::reach(*view.remote, false);
    }();
    if (side) return mosh_typing(std::move(*side), session, transport, say)();
    say("the terminal uses ssh: " + side.error().what);
    return nullptr;
  };
}

Result<session::Far> far_to(const std::string& target) {
  session::Far far;
  far.target = TRY(ssh::parse_target(target));
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  far.control_directory = TRY(ssh::control_directory(runtime ? runtime : ""));
  far.program = TRY(remote::own_hash());
  return far;
}

}  // namespace bottle::app
