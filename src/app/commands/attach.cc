#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/commands.h"
#include "app/join.h"
#include "app/sessions.h"
#include "app/show.h"
#include "app/world.h"
#include "base/unique_fd.h"
#include "session/client.h"
#include "session/frames.h"

namespace bottle::app {
namespace {

Result<int> attach(const std::string& wanted) {
  std::string name = TRY(running_session(wanted));
  UniqueFd fd(TRY(join(name, {.interactive = ::isatty(0) != 0})));
  TRY(session::send_frame(fd.get(), session::FrameType::attach, "{}"));
  session::ClientOptions client;
  client.terminal = ::isatty(0);
  client.forward_input = true;
  client.on_event = [](const nlohmann::json& event) { show_event(event, {}); };
  auto ended = TRY(session::relay(fd.get(), client));
  if (ended.detached) {
    show_detached(name);
    return 0;
  }
  show_result(ended.result, {});
  return ended.exit;
}

}  // namespace

void add_attach(CLI::App& app, int& exit) {
  auto session = std::make_shared<std::string>();
  auto* command = app.add_subcommand("attach");
  command->add_option("session", *session);
  command->callback([session, &exit] {
    auto status = attach(*session);
    exit = status ? *status : report(status.error());
  });
}

}  // namespace bottle::app
