// Joins the session, which may start a new near side for a session on another machine, and then follows it as a start
// does. A terminal on stdin is connected to the agent; from a pipe, the input is passed on. A headless agent takes no
// input, and its terminal only reads the detach key.
#include <unistd.h>

#include <functional>
#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/output/show.h"
#include "app/place/join.h"
#include "app/place/typing.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/unique_fd.h"
#include "session/console/client.h"
#include "session/ledger/ledger.h"
#include "wire/frames/frames.h"
#include "wire/request.h"

namespace bottle::app {
namespace {

struct AttachOptions {
  std::string session;
  Transport transport;
};

// Uses mosh for a session on a remote machine. The session's record names the machine.
Result<session::BeginTyping> typing_for(const std::string& name, const Transport& transport) {
  TRY(check(transport));
  if (!transport.is_mosh()) return nullptr;
  auto view = TRY(session::read_ledger(directories(), name));
  if (!view.machine)
    return fail(Code::invalid, "session " + name + " runs on this machine, and --transport mosh is for remote machines",
                "leave out --transport mosh");
  return recorded_typing(name, transport, [](const std::string& line) { say("bottle: " + line); });
}

Result<int> attach(const AttachOptions& options) {
  std::string name = TRY(running_session(options.session));
  UniqueFd fd = TRY(join(
      name, {.interactive = ::isatty(0) != 0, .progress = [](const std::string& line) { say("bottle: " + line); }}));
  // Without a position, the supervisor sends the last screen of output first.
  TRY(wire::send_frame(fd.get(), wire::FrameType::attach, wire::encode(wire::Attach{})));
  session::ClientOptions client;
  using Input = session::ClientOptions::Input;
  bool takes_input = !info_of(name).headless;
  if (::isatty(0)) client.input = takes_input ? Input::terminal : Input::detach_key;
  else client.input = takes_input ? Input::forwarded : Input::none;
  if (client.input == Input::terminal) client.begin_typing = TRY(typing_for(name, options.transport));
  client.on_event = [](const wire::Event& event) { show_event(event, {}); };
  auto ended = session::follow(fd.get(), client);
  return show_ended(fd.get(), name, ended, {}, [](const Error& error) { return report(error); });
}

}  // namespace

void add_attach(Command app) {
  auto o = std::make_shared<AttachOptions>();
  Command command = app.command("attach");
  command.option("session", o->session);
  command.option("--transport", o->transport.name);
  command.option("--mosh-ports", o->transport.mosh.ports);
  // ssh may run programs, such as a ProxyCommand, which must not begin in a repository.
  command.runs([o] {
    leave_directory();
    return exit_status(attach(*o));
  });
}

}  // namespace bottle::app
