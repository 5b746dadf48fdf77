// Sends a policy change to a running session, as `bottle allow` does. It never changes the manifest.
#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/policy_request.h"
#include "app/world/sessions.h"

namespace bottle::app {
namespace {

struct DenyOptions {
  std::string session, host;
};

Result<> deny(DenyOptions o) {
  // A single name is the host.
  if (o.session.empty()) return fail(Code::invalid, "no host was given", "name a host; see `bottle help deny`");
  if (o.host.empty()) o.host = std::exchange(o.session, "");
  std::string session = TRY(running_session(o.session));
  print(session + ": " + TRY(change_policy(session, {"", wire::PolicyChange::Deny{o.host}})) +
        " (from the next request on)");
  return {};
}

}  // namespace

void add_deny(Command app) {
  auto o = std::make_shared<DenyOptions>();
  Command command = app.command("deny");
  command.option("session", o->session);
  command.option("host", o->host);
  command.runs([o] { return exit_status(deny(*o)); });
}

}  // namespace bottle::app
