// These commands watch and test what guards decide. `watch` and `metrics` ask a running session; `test` and `replay`
// need no session, because they apply the policy themselves (egress/candidate.h). An exit status of 1 tells a script
// that a request is refused or a decision would change, so that a policy can be tested like a program.
#include <algorithm>
#include <memory>

#include "app/commands/commands.h"
#include "app/egress/candidate.h"
#include "app/egress/decisions.h"
#include "app/egress/metrics.h"
#include "app/egress/records.h"
#include "app/egress/replay.h"
#include "app/output/log_lines.h"
#include "app/output/output.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/text/shell_word.h"
#include "manifest/presets.h"
#include "session/audit/audit_chain.h"

namespace bottle::app {
namespace {

using nlohmann::json;
using Change = CandidatePolicy::Change;

struct EgressOptions {
  std::string session, method = "GET", preset;
  std::vector<std::string> urls;
  PolicySource policy;
  bool as_json = false, denied = false;
};

// -- watch

Line colored(const Line& line, wire::DecisionAction action) {
  if (!has_color(1)) return line;
  if (action == wire::DecisionAction::deny) return Line::styled(Line::Style::red, line);
  return Line::styled(action == wire::DecisionAction::allow ? Line::Style::green : Line::Style::dim, line);
}

Result<> watch(const EgressOptions& o) {
  std::string session = TRY(running_session(o.session));
  Decisions decisions(session);
  TRY(decisions.skip());
  return decisions.each(true, [&](const std::string& line) {
    auto decision = wire::decode<wire::Decision>(line, wire::From::ours);
    if (o.denied && (!decision || !decision->is_deny())) return;
    // A line that cannot be read is shown as it is, so that nothing is hidden.
    if (o.as_json || !decision) print_json_text(line + "\n");
    else print(colored(egress_line(*decision), decision->action));
  });
}

// -- test

// Returns the reason for a verdict, as the rest of a line.
std::string because(const CandidatePolicy::Verdict& verdict) {
  std::string text = verdict.allowed ? word_of(verdict.way) : verdict.code + ": " + verdict.reason;
  if (!verdict.rule.empty()) text += (verdict.allowed ? ", by " : "; the closest rule is ") + verdict.rule;
  return verdict.preset.empty() ? text : text + " of the preset " + verdict.preset;
}

// Tests each URL against the policy. Returns 1 if one of them would be refused.
Result<int> test(const EgressOptions& o) {
  auto policy = TRY(CandidatePolicy::load(o.policy));
  bool allowed = true;
  json requests = json::array();
  for (const auto& url : o.urls) {
    auto verdict = TRY(policy.judge(o.method, url));
    allowed = allowed && verdict.allowed;
    if (!o.as_json) print((verdict.allowed ? "allow  " : "deny   ") + o.method + " " + url + "  " + because(verdict));
    requests.push_back({{"url", url},
                        {"method", o.method},
                        {"allowed", verdict.allowed},
                        {"code", verdict.code},
                        {"reason", verdict.reason},
                        {"way", word_of(verdict.way)},
                        {"rule", verdict.rule},
                        {"preset", verdict.preset}});
  }
  if (o.as_json) print_json({{"allowed", allowed}, {"requests", requests}});
  return allowed ? 0 : 1;
}

// -- replay

// Names a fault of a record.
struct Fault {
  std::string file, what;
};

// Judges all decisions of the records again. Returns what is wrong with the records. The audit of a guard that runs
// alone has no chain, so there is nothing to check it against.
Result<std::vector<Fault>> read_records(const std::string& what, Replay& replay) {
  std::vector<Fault> faults;
  for (const auto& record : TRY(records_of(what))) {
    session::AuditCheck check;
    bool is_chained = record.seal || !is_record_path(what);
    auto take = [&](const std::string& line) {
      replay.add_line(line);
      check.feed(line);
      is_chained = is_chained || line.contains("\"trail\":");
    };
    std::string rest = TRY(read_record(record.path, take, [&] { return replay.unreadable; }));
    // The last line of a file need not have a line end. In an open record, it is still being written.
    if (!rest.empty() && record.may_be_open && !record.seal) replay.add_line(rest);
    else if (!rest.empty()) take(rest);
    if (!is_chained) continue;
    auto report = check.finish(record.seal ? &*record.seal : nullptr, record.may_be_open);
    for (const auto& fault : report.faults) faults.push_back({record.path, describe(fault)});
  }
  return faults;
}

json as_json(const Replay& replay, const std::vector<Fault>& faults) {
  json changes = json::array(), found = json::array();
  for (const auto& fault : faults) found.push_back({{"file", fault.file}, {"what", fault.what}});
  for (const auto& [key, changed] : replay.changes) {
    const auto& [change, kind, host, port, method, path] = key;
    changes.push_back({{"change", change == Change::refused ? "refused" : "allowed"},
                       {"kind", word_of(kind)},
                       {"host", host},
                       {"port", port},
                       {"method", method},
                       {"path", path},
                       {"count", changed.count},
                       {"reason", changed.verdict.reason},
                       {"rule", changed.verdict.rule},
                       {"preset", changed.verdict.preset}});
  }
  return {{"decisions", replay.decisions()},
          {"same", replay.same},
          {"refused", replay.refused},
          {"allowed", replay.allowed},
          {"unjudged", replay.unjudged},
          {"more", replay.more},
          {"faults", found},
          {"changes", changes}};
}

void show(const Replay& replay) {
  for (const auto& [key, changed] : replay.changes) {
    const auto& [change, kind, host, port, method, path] = key;
    std::string what = method + (method.empty() ? "" : " ") + host + ":" + std::to_string(port) + path;
    print((change == Change::refused ? "now refused  " : "now allowed  ") + one_line(what) + "  " +
          std::to_string(changed.count) + (changed.count == 1 ? " time, " : " times, ") + because(changed.verdict));
  }
  if (replay.more) print("and " + std::to_string(replay.more) + " more decisions that would change");
  print(std::to_string(replay.same) + " decisions stay the same, " + std::to_string(replay.refused) +
        " would be refused, " + std::to_string(replay.allowed) + " would be allowed, and " +
        std::to_string(replay.unjudged) + " cannot be judged again");
}

// Judges a record again under the policy. Returns 1 if a decision would change. A record that was changed does not say
// what the guard decided, so replaying it gives no answer.
Result<int> replay(const EgressOptions& o) {
  auto policy = TRY(CandidatePolicy::load(o.policy));
  Replay replay(policy);
  auto faults = TRY(read_records(o.session, replay));
  // Otherwise a wrong file would look like a policy that changes nothing.
  if (faults.empty() && replay.decisions() == replay.unjudged)
    return fail(Code::invalid, "nothing in the record of " + o.session + " can be compared",
                "name a session, or a file with the decisions of a guard");
  if (o.as_json) print_json(as_json(replay, faults));
  else show(replay);
  constexpr size_t kMostShown = 10;
  for (size_t i = 0; i < std::min(faults.size(), kMostShown); ++i)
    say("bottle: " + faults[i].file + ": " + faults[i].what);
  if (!faults.empty() && o.as_json) return 125;
  if (!faults.empty())
    return fail(Code::invalid, "the record was changed since it was written, so this is not what the guard decided",
                "run `bottle audit verify " + shell_word(o.session) + "` to see all faults");
  return replay.refused || replay.allowed ? 1 : 0;
}

// -- presets

json as_json(const manifest::Preset& preset, const std::vector<manifest::AllowRule>& rules) {
  json list = json::array();
  for (const auto& rule : rules)
    list.push_back({{"host", rule.host}, {"ports", rule.ports}, {"methods", rule.methods}, {"paths", rule.paths}});
  return {{"name", preset.name}, {"version", preset.version}, {"about", preset.about}, {"rules", list}};
}

Result<> show_presets(const EgressOptions& o) {
  json all = json::array();
  std::string wanted = o.preset.substr(0, o.preset.find_first_of(":@"));
  // This fails for a preset that does not exist, with a suggestion.
  if (!o.preset.empty()) TRY(manifest::preset_rules(o.preset));
  for (const auto& preset : manifest::presets()) {
    if (!o.preset.empty() && preset.name != wanted) continue;
    std::string name(preset.name);
    // A preset with an argument is shown with the argument that was given, or with its placeholder.
    std::string shown =
        o.preset.empty() ? name + (preset.argument.empty() ? "" : ":" + std::string(preset.argument)) : o.preset;
    auto rules = TRY(manifest::preset_rules(shown));
    all.push_back(as_json(preset, rules));
    if (o.as_json) continue;
    print(bold(shown) + Line("  version " + std::to_string(preset.version) + ": " + std::string(preset.about)));
    for (const auto& rule : rules) {
      std::string text = "  " + rule.host + (rule.ports.size() > 1 ? " (also http://) " : " ");
      for (const auto& method : rule.methods) text += " " + method;
      text += " ";
      for (const auto& path : rule.paths) text += " " + path;
      print(text);
    }
  }
  if (o.as_json) print_json(all);
  return {};
}

void add_policy_options(Command command, const std::shared_ptr<EgressOptions>& o) {
  command.option("--agent", o->policy.agent);
  command.option("--config", o->policy.config);
  command.flag("--json", o->as_json);
}

}  // namespace

void add_egress(Command app) {
  auto o = std::make_shared<EgressOptions>();
  Command group = app.group("egress");
  Command watching = group.command("watch");
  watching.option("session", o->session);
  watching.flag("--denied", o->denied);
  watching.flag("--json", o->as_json);
  watching.runs([o] { return exit_status(watch(*o), o->as_json); });
  Command testing = group.command("test");
  testing.option("url", o->urls).required();
  testing.option("--method", o->method);
  add_policy_options(testing, o);
  testing.runs([o] { return exit_status(test(*o), o->as_json); });
  Command replaying = group.command("replay");
  replaying.option("session", o->session).required();
  add_policy_options(replaying, o);
  replaying.runs([o] { return exit_status(replay(*o), o->as_json); });
  Command presets = group.command("presets");
  presets.option("name", o->preset);
  presets.flag("--json", o->as_json);
  presets.runs([o] { return exit_status(show_presets(*o), o->as_json); });
  Command metrics = group.command("metrics");
  metrics.option("session", o->session);
  metrics.runs([o] { return exit_status(print_metrics(o->session)); });
}

}  // namespace bottle::app
