// A mistake in a manifest is an error, reported with its position for editors. If an agent could not start now, for
// example because a variable is not set, that is only a warning, because it depends on the machine and the moment and
// not on the file.

#include <algorithm>
#include <filesystem>
#include <memory>

#include "app/commands/commands.h"
#include "app/egress/candidate.h"
#include "app/output/output.h"
#include "app/world/own_rules.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "machine/provider/provider.h"

namespace bottle::app {
namespace {

using nlohmann::json;

struct CheckOptions {
  std::string file;
  bool as_json = false;
};

// Examines the operator's manifest, or only the given file.
Result<manifest::Examined> examine(const std::string& path) {
  if (path.empty()) return examine_manifest(current_directory());
  auto text = read_file(path, 1 << 20);
  if (!text)
    return fail(text.error().code, "the file to check: " + text.error().what,
                "name a bottle.yaml, a claude-bottle.json or an agent's .md file, or leave out FILE for your manifest");
  manifest::File file{path, std::move(*text)};
  if (!path.ends_with(".md")) return manifest::examine({file}, {}, {});
  // Checks an agent's file against the operator's bottles. One of the operator's own files is read as such.
  std::error_code error;
  bool is_own = std::filesystem::equivalent(std::filesystem::absolute(path, error).parent_path(),
                                            directories().config + "/agents", error);
  std::vector<manifest::File> own, foreign;
  (is_own && !error ? own : foreign).push_back(std::move(file));
  return manifest::examine(TRY(policy_files()), own, foreign);
}

struct Problem {
  std::string file;
  int line = 0, column = 0;  // 0 if there is no position
  std::string what, todo;
};

json as_json(const Problem& problem) {
  return {{"file", problem.file},
          {"line", problem.line},
          {"column", problem.column},
          {"what", problem.what},
          {"todo", problem.todo}};
}

// Splits "path:line:column: what". Without a position, all of it is `what`.
Problem placed(const Error& error) {
  Problem out{.what = error.what, .todo = error.todo};
  for (size_t at = error.what.find(':'); at != std::string::npos; at = error.what.find(':', at + 1)) {
    int line = 0, column = 0, length = 0;
    if (std::sscanf(error.what.c_str() + at, ":%d:%d: %n", &line, &column, &length) != 2 || length == 0) continue;
    return {error.what.substr(0, at), line, column, error.what.substr(at + static_cast<size_t>(length)), error.todo};
  }
  return out;
}

// Fails if a start of the agent would fail before anything is made. The prompt stands for any prompt.
Result<> try_agent(const manifest::Manifest& manifest, const std::string& name, const plan::Facts& facts) {
  auto plan = TRY(plan::make(manifest, {.agent = name, .prompt = "-", .headless = true}, facts));
  TRY(check_plan(plan));
  TRY(guard_rules(TRY(read_own_rules(plan.scan.rules))));
  return {};
}

// Adds a warning for each VM whose provider does not exist. A provider may be a directory that is yet to come.
void warn_of_vms(const manifest::Manifest& manifest, json& warnings, bool as_json) {
  auto known = machine::Provider::names(Directories::from(hook_environment()));
  for (const auto& [name, vm] : manifest.vms) {
    if (known && std::ranges::find(*known, vm.provider) != known->end()) continue;
    Error error = known ? Error{Code::not_found, "there is no provider '" + vm.provider + "'",
                                manifest::suggest(vm.provider, *known)}
                        : known.error();
    warnings.push_back({{"vm", name}, {"what", error.what}, {"todo", error.todo}});
    if (!as_json) report(std::move(error).during("VM " + name + " cannot be created now"));
  }
}

int check(const CheckOptions& options) {
  json errors = json::array(), warnings = json::array(), agents = json::array(), bottles = json::array();
  auto examined = examine(options.file);
  auto mistakes = examined ? std::move(examined->mistakes) : std::vector{std::move(examined.error())};
  if (examined)
    for (auto& each : examined->manifest.unusable) mistakes.push_back(std::move(each.why));
  for (const auto& mistake : mistakes) {
    errors.push_back(as_json(placed(mistake)));
    if (!options.as_json) report(mistake);
  }
  if (mistakes.empty()) {
    const auto& loaded = examined->manifest;
    size_t own = 0;
    for (const auto& [name, bottle] : loaded.bottles) {
      bottles.push_back(name);
      own += bottle.positions.contains("") ? 1 : 0;
    }
    auto facts = gather_facts(current_directory());
    facts.images = image_facts(loaded, "");
    for (const auto& [name, agent] : loaded.agents) {
      agents.push_back(name);
      auto ready = try_agent(loaded, name, facts);
      if (ready) continue;
      warnings.push_back({{"agent", name}, {"what", ready.error().what}, {"todo", ready.error().todo}});
      if (!options.as_json) report(std::move(ready.error()).during("agent " + name + " cannot start now"));
    }
    warn_of_vms(loaded, warnings, options.as_json);
    if (!options.as_json)
      print("ok: " + std::to_string(agents.size()) + (agents.size() == 1 ? " agent, " : " agents, ") +
            std::to_string(own) + (own == 1 ? " bottle" : " bottles") +
            (own < bottles.size() ? " and the built-in default" : ""));
  }
  if (options.as_json)
    print_json(
        {{"ok", errors.empty()}, {"errors", errors}, {"warnings", warnings}, {"agents", agents}, {"bottles", bottles}});
  return errors.empty() ? 0 : 1;
}

}  // namespace

void add_check(Command app) {
  auto o = std::make_shared<CheckOptions>();
  Command command = app.command("check");
  command.option("file", o->file);
  command.flag("--json", o->as_json);
  command.runs([o] { return check(*o); });
}

}  // namespace bottle::app
