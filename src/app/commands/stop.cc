// Sends a stop to the supervisor, and waits until the supervisor reports the result or a failure, not until a process
// disappears. If a session on another machine has no near side, the command first starts one, which then ends the
// session.
#include <unistd.h>

#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/place/join.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/os/poller.h"
#include "base/unique_fd.h"
#include "session/console/client.h"
#include "wire/codec/failure.h"
#include "wire/frames/frames.h"

namespace bottle::app {
namespace {

// Blocks until the session's supervisor reports that everything is gone. Returns what happened, in a few words.
Result<std::string> stop(const std::string& name) {
  leave_directory();  // a near side may be started, whose ssh and hooks must not begin in a repository
  auto tell = [](const std::string& line) { say("bottle: " + line); };
  UniqueFd fd = TRY(join(name, {.interactive = ::isatty(0) != 0, .stop = true, .progress = tell}));
  TRY(wire::send_frame(fd.get(), wire::FrameType::stop, ""));
  wire::FrameReader reader;
  for (;;) {
    // Each frame restarts the two minutes. A session that shows progress is still ending.
    if (!wait_readable(fd.get(), 120000))
      return fail(Code::timed_out, "the session did not end within two minutes", "run `bottle cleanup`");
    auto frames = reader.read(fd.get());
    if (!frames) return fail(Code::closed, "the session's supervisor closed the connection", "run `bottle cleanup`");
    for (const auto& frame : *frames) {
      // The supervisor sends it when everything is removed.
      if (frame.type == wire::FrameType::result) return "stopped " + name;
      if (frame.type != wire::FrameType::failure) continue;
      session::await_end(fd.get());  // because `bottle cleanup` works only after that
      auto error = TRY(wire::decode<Error>(frame.bytes, wire::From::ours));
      // The launch was canceled, as the operator wanted. It is an error only if something is left.
      if (error.code != Code::canceled || !error.todo.empty()) return std::unexpected(std::move(error));
      return "stopped " + name + " before its agent ran";
    }
  }
}

// Stops every running session. Returns the first failure, but still stops the others.
Result<> stop_all() {
  using State = wire::SessionState;
  Result<> outcome;
  for (const auto& info : TRY(sessions())) {
    // These have no agent any more; `bottle cleanup` brings work home and removes what is left.
    if (info.state == State::dead || info.state == State::held || info.state == State::refused) continue;
    const std::string& name = info.session;
    auto stopped = stop(name);
    if (stopped) print(*stopped);
    else if (outcome) outcome = std::unexpected(std::move(stopped.error()).during("session " + name));
  }
  return outcome;
}

}  // namespace

void add_stop(Command app) {
  auto session = std::make_shared<std::string>();
  auto all = std::make_shared<bool>(false);
  Command command = app.command("stop");
  Argument named = command.option("session", *session);
  command.flag("--all", *all).excludes(named);
  command.runs([session, all] {
    return exit_status(*all ? stop_all() : [&]() -> Result<> {
      print(TRY(stop(TRY(running_session(*session)))));
      return {};
    }());
  });
}

}  // namespace bottle::app
