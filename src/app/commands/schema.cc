#include <CLI/CLI.hpp>
#include <iostream>

#include "app/commands/commands.h"
#include "manifest/manifest.h"

namespace bottle::app {

void add_schema(CLI::App& app, int&) {
  app.add_subcommand("schema")->callback([] { std::cout << manifest::json_schema() << "\n"; });
}

}  // namespace bottle::app
