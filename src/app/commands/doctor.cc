#include "app/doctor/doctor.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "app/commands/commands.h"

namespace bottle::app {

void add_doctor(CLI::App& app, int& exit) {
  auto json = std::make_shared<bool>(false);
  auto* command = app.add_subcommand("doctor");
  command->add_flag("--json", *json);
  command->callback([json, &exit] { exit = tell(diagnose(examine()), *json); });
}

}  // namespace bottle::app
