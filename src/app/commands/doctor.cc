#include "app/doctor/doctor.h"

#include <memory>

#include "app/commands/commands.h"

namespace bottle::app {

void add_doctor(Command app) {
  auto json = std::make_shared<bool>(false);
  Command command = app.command("doctor");
  command.flag("--json", *json);
  command.runs([json] { return print_findings(diagnose(examine()), *json); });
}

}  // namespace bottle::app
