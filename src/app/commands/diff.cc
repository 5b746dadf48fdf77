// Prints a session's patches for people. They are the agent's text, so they are printed as lines that cannot affect
// the terminal.
#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/results.h"
#include "base/files/file.h"
#include "base/text/shell_word.h"

namespace bottle::app {
namespace {

constexpr size_t kLargestShown = 64 << 20;

Result<> show_patch(const std::string& file) {
  auto read = read_file(file, kLargestShown);
  if (!read && read.error().code == Code::limit)
    return fail(Code::limit, "the patch " + file + " is larger than 64 MB, so bottle does not show it",
                "for the changed files, run: git apply --stat " + shell_word(file));
  std::string text = TRY(std::move(read)), wide;
  // A Line would show a tab as an escape, which makes a patch hard to read.
  for (char c : text) wide += c == '\t' ? std::string(8, ' ') : std::string(1, c);
  print(lines_of(wide));
  return {};
}

Result<> diff(const std::string& wanted) {
  std::string session = TRY(ended_session(wanted));
  Results results = TRY(changes_of(session));
  for (const auto& patch : results.patches) {
    if (results.patches.size() > 1) print(bold("in " + patch.directory));
    TRY(show_patch(patch.file));
  }
  tell_copies(results);
  return {};
}

}  // namespace

void add_diff(Command app) {
  auto session = std::make_shared<std::string>();
  Command command = app.command("diff");
  command.option("session", *session);
  command.runs([session] { return exit_status(diff(*session)); });
}

}  // namespace bottle::app
