#include <CLI/CLI.hpp>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "manifest/manifest.h"

namespace bottle::app {

void add_schema(CLI::App& app, int&) {
  app.add_subcommand("schema")->callback([] { print_page(manifest::json_schema() + "\n"); });
}

}  // namespace bottle::app
