#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "app/commands.h"
#include "app/output.h"
#include "app/sessions.h"
#include "app/world.h"
#include "base/file.h"

namespace bottle::app {
namespace {

struct LogsOptions {
  std::string session;
  bool egress = false;
};

Result<> logs(const LogsOptions& options) {
  std::string name = TRY(finished_session(options.session));
  std::cout << TRY(
      read_file(directories().results + "/" + name + (options.egress ? "/egress.jsonl" : "/result.json")));
  return {};
}

}  // namespace

void add_logs(CLI::App& app, int& exit) {
  auto o = std::make_shared<LogsOptions>();
  auto* command = app.add_subcommand("logs");
  command->add_option("session", o->session);
  command->add_flag("--egress", o->egress);
  command->callback([o, &exit] {
    auto shown = logs(*o);
    exit = shown ? 0 : report(shown.error());
  });
}

}  // namespace bottle::app
