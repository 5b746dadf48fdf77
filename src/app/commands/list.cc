#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "app/commands.h"
#include "app/output.h"
#include "app/sessions.h"

namespace bottle::app {
namespace {

int list(const Output& output) {
  auto all = sessions();
  if (output.json) {
    std::cout << all.dump(2) << "\n";
    return 0;
  }
  std::vector<std::vector<std::string>> rows = {{"SESSION", "STATE", "AGENT", "WORKSPACE"}};
  for (const auto& info : all)
    rows.push_back({info.value("session", ""), info.value("state", ""), info.value("agent", ""),
                    info.value("workspace", "")});
  std::cout << table(rows);
  return 0;
}

}  // namespace

void add_list(CLI::App& app, int& exit) {
  auto output = std::make_shared<Output>();
  auto* command = app.add_subcommand("list");
  command->add_flag("--json", output->json);
  command->callback([output, &exit] { exit = list(*output); });
}

}  // namespace bottle::app
