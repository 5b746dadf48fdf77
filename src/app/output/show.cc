// At the end of a session, the most important lines are shown last, because they stay on the screen: first what was
// used and refused, then whether everything is gone, and last what to look at before running anything. Lists are
// short and say how many more there are. A suggested command contains only plain words, because a person may copy it,
// and some of its words come from agents and other machines.
#include "app/output/show.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "app/output/log_lines.h"
#include "app/world/policy_request.h"
#include "manifest/manifest.h"

namespace bottle::app {

namespace {

auto began = std::chrono::steady_clock::now();

// Returns the time since begin_clock(), such as "1.24 s".
std::string elapsed() {
  char text[32];
  std::snprintf(text, sizeof text, "%5.2f s",
                std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  return text;
}

// Returns text such as ", made 2026-01-01 12:00:00", or an empty string for no time.
std::string when(const std::string& what, int64_t seconds) {
  char text[32];
  std::time_t time = seconds;
  std::tm tm{};
  if (seconds <= 0 || !::localtime_r(&time, &tm) || !std::strftime(text, sizeof text, "%F %T", &tm)) return "";
  return ", " + what + " " + text;
}

// A longer list would push the lines before it off the screen.
constexpr size_t kMostBlocked = 12;

// Shows the hosts that were refused most often, and how to allow them.
void show_blocked(const wire::SessionResult& result, std::vector<wire::DeniedHost> denied) {
  if (denied.empty()) return;
  // The result lists the hosts by their names.
  std::ranges::sort(
      denied, {}, [](const wire::DeniedHost& host) { return std::pair(-static_cast<int64_t>(host.count), host.host); });
  size_t more = denied.size() - std::min(denied.size(), kMostBlocked);
  denied.resize(denied.size() - more);
  say("");
  say("Blocked:");
  std::vector<std::string> rules;
  for (const auto& [host, code, count, rule] : denied) {
    say("  " + host + "  (" + code + ", " + std::to_string(count) + "×)");
    // Several refusals may need the same rule.
    if (!rule.empty() && std::ranges::find(rules, rule) == rules.end()) rules.push_back(rule);
  }
  if (more) say("  and " + std::to_string(more) + " more");
  std::string first = rules.empty() ? "" : about_built_in(result.bottle);
  if (!first.empty()) say("To allow them, " + first + ", and add these rules to its egress.allow:");
  else if (!rules.empty())
    say("To allow them, add these rules to bottles." + result.bottle + ".egress.allow, or run `bottle allow --bottle " +
        result.bottle + " --save HOST`:");
  for (const auto& rule : rules) say("  - " + rule);
  say(dim("  for all decisions, run `bottle logs --egress " + result.session + "`"));
}

// Shows secrets that the agent has read and tried to send to its model.
void show_secrets(const std::vector<wire::SecretNotice>& secrets) {
  for (const auto& each : secrets) {
    if (each.code == "secret_to_model")
      say("bottle: the agent read the value of secret " + each.secret +
          "; the guard sent a marker to the model instead");
    else if (each.code == "credential_to_model")
      say("bottle: the agent read a credential (" + each.secret + "); the guard sent a marker to the model instead");
    else
      say(dim("· the placeholder of secret " + each.secret + " was sent to the model (harmless: it is not the value)"));
  }
}

// Shows the rules that a session in record mode would have needed.
void show_recorded(const std::string& bottle, const std::vector<std::string>& recorded) {
  std::string first = recorded.empty() ? "" : about_built_in(bottle);
  say("");
  if (first.empty())
    say("RECORD MODE: the session would have needed these rules in bottles." + bottle + ".egress.allow:");
  else
    say("RECORD MODE: the session would have needed more rules. To allow them, " + first +
        ", and add these rules to its egress.allow:");
  for (const auto& rule : recorded) say("  - " + rule);
  if (recorded.empty()) say(dim("  no rules besides those it has"));
}

void show_vm(const wire::VmReceipt& vm) {
  // A VM whose end was not confirmed is listed among the leftovers.
  if (const auto* kept = std::get_if<wire::VmKept>(&vm.end))
    say("bottle: the VM " + vm.name + " was not destroyed (" + kept->why + "); see `bottle vm list`");
  if (const auto* gone = std::get_if<wire::VmGone>(&vm.end))
    say(dim("VM " + vm.name + (gone->how ? when("created", gone->how->made) + when("destroyed", gone->how->at) : "") +
            ", is gone with everything on it, confirmed by " +
            (gone->confirmed_by.empty() ? "its provider" : gone->confirmed_by)));
}

// Shows whether everything is gone. `fetched` is false if the work could not be brought home; that error says more.
void show_receipt(const wire::Receipt& receipt, bool fetched) {
  if (receipt.vm) show_vm(*receipt.vm);
  if (receipt.confirmed && receipt.vm) return;  // the engine is gone with the VM
  if (receipt.confirmed)
    return say(dim("The engine" + (receipt.machine.empty() ? "" : " on " + receipt.machine) +
                   " confirmed that the agent's container, the guard and the network are gone."));
  if (receipt.left.empty() && fetched && !receipt.vm)
    say("bottle: the agent's container, the guard and the network may still exist; run `bottle cleanup`");
  for (const auto& what : receipt.left) say("bottle: not removed: " + what + "; run `bottle cleanup`");
}

// Returns whether a word of another machine can be a part of a command that a person may copy.
bool is_plain(const std::string& word) {
  return !word.starts_with('-') && std::ranges::all_of(word, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == '*';
  });
}

std::string number(double value, bool money) {
  char text[64];
  (void)std::snprintf(text, sizeof text, "%.0f", value);
  return money ? manifest::cost_text(value) : text;
}

// Returns the highest limit of this kind that `bottle allow` takes.
double highest(const std::string& limit) {
  return limit == "names" ? static_cast<double>(manifest::kMostNames) : limit == "cost" ? 1e6 : 999999999999999;
}

// Returns the message about a limit, with the command that doubles it as far as possible.
std::string about_limit(const wire::LimitReached& reached) {
  bool money = reached.limit == "cost";
  std::string text = "bottle: the limit of " + reached.limit + " (" + number(reached.most, money) +
                     ") is reached for " + (reached.host.empty() ? "the session" : reached.host) +
                     ". The guard refuses further requests until you raise it";
  double more = std::min(reached.most * 2, highest(reached.limit));
  // The negation also covers NaN, which is not greater than any number.
  if (!(more > reached.most)) return text + ".";
  if (!is_plain(reached.session) || !is_plain(reached.host) || !is_plain(reached.limit)) return text + ".";
  // A star would be expanded by a shell.
  std::string host = reached.host.empty()         ? ""
                     : reached.host.contains('*') ? "'" + reached.host + "' "
                                                  : reached.host + " ";
  return text + ", for example with: bottle allow " + reached.session + " " + host + "--limit " + reached.limit + "=" +
         number(more, money);
}

// Shows how much the session used the hosts that it used most.
void show_used(const std::vector<wire::ShownUsage>& used) {
  constexpr size_t kMost = 8;
  if (used.empty()) return;
  say("");
  say("Used:");
  for (size_t i = 0; i < std::min(used.size(), kMost); ++i) say("  " + used_line(used[i]));
  if (used.size() > kMost) say("  and " + std::to_string(used.size() - kMost) + " more hosts");
}

// Returns the text of an event for a person. An empty text is not shown.
struct EventLine {
  Line operator()(const wire::Step& step) const { return dim(elapsed() + "  " + step.step); }
  Line operator()(const wire::AgentRuns& runs) const {
    return dim(elapsed() + "  self-test passed; the agent runs (session " + runs.session + ")");
  }
  Line operator()(const wire::GuardLost& lost) const { return "bottle: " + lost.what; }
  Line operator()(const wire::LinkLost& lost) const { return "bottle: " + lost.what; }
  Line operator()(const wire::LinkTrying& trying) const { return "bottle: " + trying.what; }
  Line operator()(const wire::LimitReached& reached) const { return about_limit(reached); }
  Line operator()(const wire::Warning& warning) const { return "bottle: " + warning.what; }
  Line operator()(const wire::RecordFull& full) const { return "bottle: " + full.what; }
  Line operator()(const wire::RecordBack&) const {
    return "bottle: the guard's decisions can be recorded again, and it lets traffic through";
  }
  Line operator()(const wire::LinkBack&) const { return dim("· reconnected"); }
  Line operator()(const wire::VmMade& vm) const { return dim("· VM " + vm.name + " is up"); }
  Line operator()(const wire::OutputMissed& missed) const {
    return "bottle: " + std::to_string(missed.bytes) +
           " bytes of output were dropped, because bottle keeps only the last ones";
  }
  Line operator()(const wire::GuardError& error) const { return "bottle: the guard: " + error.what; }
  Line operator()(const wire::TypingEnded&) const { return "bottle: mosh has ended; the terminal continues over ssh"; }
  Line operator()(const wire::GuardBack&) const { return "bottle: the guard is back with the same policy"; }
  Line operator()(const auto&) const { return {}; }
};

}  // namespace

void begin_clock() { began = std::chrono::steady_clock::now(); }

void show_event(const wire::Event& event, const Output& output) {
  if (output.json) return say_json_text(wire::encode(event));
  if (output.quiet) return;
  if (Line line = std::visit(EventLine(), event); !line.empty()) say(line);
}

void show_result(const wire::SessionResult& result, const Output& output) {
  if (output.json) return say_json_text(wire::encode(result));
  if (output.quiet) return;
  if (!result.what.empty()) say("bottle: " + result.what);
  auto back = result.back.value_or(wire::WorkResult());
  if (!back.error.empty()) say("bottle: bringing the work home failed: " + back.error);
  if (!back.text.empty()) {
    say("");
    say(lines_of(back.text));
  }
  auto egress = result.egress.value_or(wire::EgressResult());
  show_blocked(result, std::move(egress.denied));
  show_used(egress.used);
  show_secrets(egress.secrets);
  if (egress.recorded) show_recorded(result.bottle, *egress.recorded);
  show_receipt(result.receipt, back.error.empty());
  say(inspection_lines(back));
}

void show_swept(const session::Swept& swept, const Output& output) {
  if (output.json) return say_json_text(wire::encode(wire::Event(wire::Swept{swept.receipt, swept.back})));
  if (output.quiet) return;
  if (swept.back && !swept.back->text.empty()) {
    say("bottle: work of session " + swept.receipt.session + ", which did not come home when the session ended:");
    say(lines_of(swept.back->text));
    say(inspection_lines(*swept.back));
  }
  for (const auto& what : swept.receipt.left) say("bottle: not removed: " + what);
}

int show_ended(int supervisor, const std::string& session, const Result<session::Ended>& ended, const Output& output,
               const std::function<int(const Error&)>& on_error) {
  if (ended && std::holds_alternative<session::Detached>(*ended)) {
    say("");
    say("bottle: detached; the agent keeps running. To come back, run `bottle attach " + session + "`.");
    return 0;
  }
  const auto* result = ended ? std::get_if<wire::SessionResult>(&*ended) : nullptr;
  if (result) show_result(*result, output);
  int status = result ? result->exit : on_error(ended.error());
  // If a message tells the operator to run `bottle cleanup`, it works only once the supervisor has ended.
  if (!result || !result->receipt.confirmed) session::await_end(supervisor);
  return status;
}

}  // namespace bottle::app
