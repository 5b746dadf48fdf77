#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "app/commands.h"
#include "app/output.h"
#include "app/world.h"
#include "session/teardown.h"

namespace bottle::app {
namespace {

using nlohmann::json;

struct CleanupOptions {
  bool dry_run = false;
  Output output;
};

void tell_what_would_go(const std::vector<session::Orphan>& orphans, const Output& output) {
  json all = json::array();
  for (const auto& orphan : orphans)
    for (const auto& thing : orphan.things) {
      all.push_back({{"session", orphan.session}, {"kind", thing.kind}, {"name", thing.name}});
      if (!output.json) std::cout << "would remove " << thing.kind << " " << thing.name << "\n";
    }
  if (output.json) std::cout << all.dump(2) << "\n";
}

Result<int> cleanup(const CleanupOptions& options) {
  // Without an engine "nothing to clean up" would be a guess.
  auto engine = TRY(connect_engine());
  auto orphans = TRY(session::find_orphans(directories(), &engine));
  if (options.dry_run) {
    tell_what_would_go(orphans, options.output);
    return 0;
  }
  json all = json::array();
  bool clean = true;
  for (const auto& receipt : session::sweep(orphans)) {
    all.push_back(to_json(receipt));
    clean = clean && receipt.confirmed;
    if (options.output.json) continue;
    for (const auto& what : receipt.removed) std::cout << "removed " << what << "\n";
    for (const auto& what : receipt.left) std::cerr << "bottle: left behind: " << what << "\n";
  }
  if (options.output.json)
    std::cout << all.dump(2) << "\n";
  else if (all.empty())
    std::cout << "nothing to clean up\n";
  return clean ? 0 : 125;
}

}  // namespace

void add_cleanup(CLI::App& app, int& exit) {
  auto o = std::make_shared<CleanupOptions>();
  auto* command = app.add_subcommand("cleanup");
  command->add_flag("--dry-run", o->dry_run);
  command->add_flag("--json", o->output.json);
  command->callback([o, &exit] {
    auto status = cleanup(*o);
    exit = status ? *status : report(status.error(), o->output.json);
  });
}

}  // namespace bottle::app
