// Removes the refs first and the results last. If the removal of a ref fails, the results stay and the command can be
// repeated, because only the results say where the refs are.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/results.h"
#include "base/text/line.h"
#include "session/console/terminal.h"

namespace bottle::app {
namespace {

Result<> discard(const std::string& wanted, bool yes) {
  std::string session = TRY(ended_session(wanted));
  Results results = TRY(results_of(session));
  if (!yes) TRY(session::confirm("remove the refs and the results of session " + session + "?", "nothing was removed"));
  size_t refs = 0;
  std::vector<std::string> gone;
  for (const auto& place : results.places) {
    auto dropped = workspace::drop_refs(place, session);
    // The results are kept if refs are left, because places.json is the list of where they are.
    if (!dropped && dropped.error().code != Code::not_found)
      return std::unexpected(std::move(dropped.error()).during("removing refs of " + place));
    if (!dropped) gone.push_back(dropped.error().what + "; " + dropped.error().todo);
    refs += dropped.value_or(0);
  }
  std::error_code error;
  std::filesystem::remove_all(results.directory, error);
  if (error) return fail(Code::unavailable, "removing " + results.directory + ": " + error.message());
  for (const auto& line : gone) say(line);
  print("removed " + std::to_string(refs) + (refs == 1 ? " ref" : " refs") + " and " + results.directory);
  return {};
}

}  // namespace

void add_discard(Command app) {
  auto session = std::make_shared<std::string>();
  auto yes = std::make_shared<bool>(false);
  Command command = app.command("discard");
  command.option("session", *session);
  command.flag("-y,--yes", *yes);
  command.runs([session, yes] { return exit_status(discard(*session, *yes)); });
}

}  // namespace bottle::app
