// Applies the session's patches to the operator's files. An error that has no advice gets one here: nothing was
// changed, and how to see the patch.
#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/results.h"
#include "app/world/world.h"

namespace bottle::app {
namespace {

Result<> apply(const std::string& wanted) {
  std::string session = TRY(ended_session(wanted));
  Results results = TRY(changes_of(session));
  auto applied = workspace::apply(results.patches, directories().cache);
  if (!applied) {
    // Such an error already has advice.
    if (!applied.error().todo.empty()) return applied;
    applied.error().todo = "nothing was changed; `bottle diff " + session + "` shows the patch";
    return applied;
  }
  for (const auto& patch : results.patches) print("applied to " + patch.directory);
  tell_copies(results);
  return {};
}

}  // namespace

void add_apply(Command app) {
  auto session = std::make_shared<std::string>();
  Command command = app.command("apply");
  command.option("session", *session);
  command.runs([session] { return exit_status(apply(*session)); });
}

}  // namespace bottle::app
