// Shows what a session left on this machine: its result or, with --egress, the decisions of its guards. A terminal gets
// lines for people. A pipe gets the JSON of the files unchanged, so that nothing is lost between a record and a
// program.
#include <unistd.h>

#include <memory>

#include "app/commands/commands.h"
#include "app/egress/decisions.h"
#include "app/output/log_lines.h"
#include "app/output/output.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "session/ledger/files.h"

namespace bottle::app {
namespace {

struct LogsOptions {
  std::string session;
  bool egress = false, denied = false, follow = false;
  Output output;
};

// Shows one line of a record. It is decoded only if that is necessary, because a record may have millions of lines.
void show(const std::string& line, const LogsOptions& options, bool people) {
  if (line.empty() || (!people && !options.denied)) {
    if (!line.empty()) print_json_text(line + "\n");
    return;
  }
  // Shows a line that is not a decision unchanged.
  auto decision = wire::decode<wire::Decision>(line, wire::From::ours);
  if (options.denied && (!decision || !decision->is_deny())) return;
  if (people && decision) print(egress_line(*decision));
  else print_json_text(line + "\n");
}

// Shows the decisions of the guard and, for a session on a remote machine, those that were made on this machine.
Result<> egress(const std::string& name, const LogsOptions& options) {
  bool people = ::isatty(1) && !options.output.json;
  Decisions decisions(name);
  TRY(decisions.each(options.follow, [&](const std::string& line) { show(line, options, people); }));
  return decisions.exist() ? Result<>() : no_decisions(name);
}

Result<> logs(const LogsOptions& options) {
  if ((options.denied || options.follow) && !options.egress)
    return fail(Code::invalid, "--denied and --follow need --egress", "add --egress");
  std::string name = TRY(session_with_results(options.session, options.egress ? Of::all : Of::ended));
  if (options.egress) return egress(name, options);
  auto text = read_file(directories().results_of(name) + "/" + session::kResult);
  if (!text && runs_now(name))
    return fail(Code::not_found, "session " + name + " has not ended yet",
                "run `bottle logs --egress " + name + "` for its decisions so far");
  if (!text && text.error().code == Code::not_found)
    return fail(Code::not_found, "session " + name + " left no result",
                "`bottle logs --egress " + name + "` shows what its guard decided");
  if (!text) return std::unexpected(text.error());
  auto result = wire::decode<wire::SessionResult>(*text, wire::From::ours);
  // A result of another version may not be readable, but it is still shown.
  if (result && ::isatty(1) && !options.output.json) print(result_lines(*result));
  else print_json_text(*text);
  return {};
}

}  // namespace

void add_logs(Command app) {
  auto o = std::make_shared<LogsOptions>();
  Command command = app.command("logs");
  command.option("session", o->session);
  command.flag("--egress", o->egress);
  command.flag("--denied", o->denied);
  command.flag("-f,--follow", o->follow);
  command.flag("--json", o->output.json);
  command.runs([o] { return exit_status(logs(*o), o->output.json); });
}

}  // namespace bottle::app
