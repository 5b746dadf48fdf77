// Lists sessions by their directories and agents by the manifest. It asks neither an engine nor another machine, so
// the command answers immediately even if those do not.

#include <ctime>
#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/results.h"
#include "app/world/sessions.h"
#include "app/world/world.h"

namespace bottle::app {
namespace {

using nlohmann::json;
using Rows = std::vector<std::vector<Line>>;

constexpr size_t kLongestDescription = 300;  // the text may come from a repository

// Says whether to list agents instead of sessions, whether to include sessions that have ended, and how.
struct ListOptions {
  bool agents = false, all = false;
  Output output;
};

void show(const json& all, const Rows& rows, const Output& output) {
  if (output.json) print_json(all);
  else print(table(rows));
}

std::string text_or_dash(const std::string& text) { return text.empty() ? "-" : text; }

Result<> list_agents(const Output& output) {
  auto manifest = TRY(load_manifest(current_directory()));
  json all = json::array();
  Rows rows = {{"AGENT", "BOTTLE", "PROVIDER", "DESCRIPTION"}};
  for (const auto& [name, agent] : manifest.agents) {
    all.push_back({{"agent", name},
                   {"bottle", agent.bottle},
                   {"provider", agent.provider},
                   {"description", agent.description},
                   {"from_repository", agent.from_repository}});
    rows.push_back(
        {name, agent.bottle, agent.provider, text_or_dash(one_line(manifest::described(agent), kLongestDescription))});
  }
  for (const auto& [name, why] : manifest.unusable) {
    json error = {{"code", to_string(why.code)}, {"what", why.what}, {"todo", why.todo}};
    all.push_back({{"agent", name}, {"from_repository", true}, {"error", std::move(error)}});
  }
  show(all, rows, output);
  if (!output.json)
    for (const auto& each : manifest.unusable)
      report(Error(each.why).during("an agent of this repository cannot be used"));
  return {};
}

// Adds the sessions that have ended. Nothing recorded their agents.
void add(const std::vector<EndedSession>& ended, json& all, Rows& rows) {
  for (const auto& each : ended) {
    rows.push_back({each.session, "ended", age(std::time(nullptr) - each.ended), "-",
                    each.exit && each.machine.empty() ? "local" : text_or_dash(each.machine),
                    text_or_dash(each.workspace)});
    json item = {{"session", each.session}, {"state", "ended"}, {"ended", each.ended}};
    if (each.exit) item["exit"] = *each.exit;
    if (!each.bottle.empty()) item["bottle"] = each.bottle;
    if (!each.workspace.empty()) item["workspace"] = each.workspace;
    if (each.exit) item["machine"] = each.machine.empty() ? "local" : each.machine;
    all.push_back(std::move(item));
  }
}

Result<> list_sessions(bool ended, const Output& output) {
  json all = json::array();
  Rows rows = {{"SESSION", "STATE", "AGE", "AGENT", "MACHINE", "WORKSPACE"}};
  for (auto& info : TRY(sessions())) {
    // Without a start time, the session's record is not complete yet, and its machine is not known.
    if (info.machine.empty() && info.started) info.machine = "local";
    rows.push_back({info.session, word_of(info.state), info.started ? age(std::time(nullptr) - *info.started) : "-",
                    text_or_dash(info.agent), text_or_dash(info.machine), text_or_dash(info.workspace)});
    all.push_back(to_json(info));
  }
  if (ended) add(TRY(ended_sessions()), all, rows);
  if (all.empty() && !output.json) print(ended ? "no sessions" : "no sessions; `bottle list --all` shows ended ones");
  else show(all, rows, output);
  return {};
}

}  // namespace

void add_list(Command app) {
  auto o = std::make_shared<ListOptions>();
  Command command = app.command("list");
  Argument agents = command.flag("--agents", o->agents);
  command.flag("--all", o->all).excludes(agents);
  command.flag("--json", o->output.json);
  command.runs([o] {
    return exit_status(o->agents ? list_agents(o->output) : list_sessions(o->all, o->output), o->output.json);
  });
}

}  // namespace bottle::app
