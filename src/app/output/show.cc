#include "app/output/show.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "app/output/log_lines.h"

namespace bottle::app {

using nlohmann::json;

namespace {

auto began = std::chrono::steady_clock::now();

// "1.24 s": since begin_clock().
std::string elapsed() {
  char text[32];
  std::snprintf(text, sizeof text, "%5.2f s",
                std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  return text;
}

// ", made 2026-01-01 12:00:00"; empty for none.
std::string when(const std::string& what, int64_t seconds) {
  char text[32];
  std::time_t time = seconds;
  std::tm tm{};
  if (seconds <= 0 || !::localtime_r(&time, &tm) || !std::strftime(text, sizeof text, "%F %T", &tm)) return "";
  return ", " + what + " " + text;
}

constexpr size_t kMostBlocked = 12;

// The hosts that were refused most often, and what it would take to allow those.
void show_blocked(const json& result, const json& denied) {
  if (denied.empty()) return;
  std::vector<json> most(denied.begin(), denied.end());
  auto rank = [](const json& entry) { return std::pair(-entry.value("count", int64_t{0}), entry.value("host", "")); };
  std::ranges::sort(most, [&](const json& a, const json& b) { return rank(a) < rank(b); });
  size_t more = most.size() - std::min(most.size(), kMostBlocked);
  most.resize(most.size() - more);
  say("");
  say("Blocked:");
  std::vector<std::string> rules;
  for (const json& entry : most) {
    say("  " + entry.value("host", "") + "  (" + entry.value("code", "") + ", " +
        std::to_string(entry.value("count", 0)) + "×)");
    if (std::string rule = entry.value("allow", ""); !rule.empty() && std::ranges::find(rules, rule) == rules.end())
      rules.push_back(rule);
  }
  if (more) say("  and " + std::to_string(more) + " more");
  std::string bottle = result.value("bottle", "");
  if (!rules.empty())
    say("To allow them, add these rules to bottles." + bottle + ".egress.allow, or run `bottle allow --bottle " +
        bottle + " --save HOST`:");
  for (const auto& rule : rules) say("  - " + rule);
  say(dim("  for all decisions, run `bottle logs --egress " + result.value("session", "") + "`"));
}

// Secrets that the agent has read, and that were on their way to its model.
void show_secrets(const json& secrets) {
  for (const auto& each : secrets) {
    std::string name = each.value("secret", "");
    if (each.value("code", "") == "secret_to_model")
      say("bottle: the agent read the value of secret " + name + "; it was not sent to the model as it is");
    else say(dim("· the placeholder of secret " + name + " went to the model, where it is worthless"));
  }
}

void show_recorded(const json& result, const json& recorded) {
  say("");
  say("RECORD MODE: the session would have needed these rules in bottles." + result.value("bottle", "") +
      ".egress.allow:");
  for (const auto& rule : recorded) say("  - " + rule.get<std::string>());
  if (recorded.empty()) say(dim("  no rules besides those it has"));
}

void show_vm(const json& vm) {
  if (vm.empty()) return;
  if (vm.value("kept", false))
    say("bottle: the VM " + vm.value("name", "") + " was not destroyed (" + vm.value("why", "") +
        "); see `bottle vm list`");
  else if (vm.value("confirmed", false))
    say(dim("VM " + vm.value("name", "") + when("created", vm.value("made", int64_t{0})) +
            when("destroyed", vm.value("at", int64_t{0})) + ", is gone with everything on it, confirmed by " +
            vm.value("confirmed_by", "its provider")));
}

void show_receipt(const json& receipt, bool fetched) {
  show_vm(receipt.value("vm", json::object()));
  bool confirmed = receipt.value("confirmed", false);
  if (confirmed && receipt.contains("vm")) return;  // the engine went with all the rest
  auto left = receipt.value("left", json::array());
  if (confirmed)
    say(dim("The engine" + (receipt.contains("machine") ? " on " + receipt.value("machine", "") : "") +
            " confirmed that container, guard and network are gone."));
  else if (left.empty() && fetched && !receipt.contains("vm"))
    say("bottle: container, guard and network may still exist; run `bottle cleanup`");
  for (const auto& what : confirmed ? json::array() : left)
    say("bottle: not removed: " + what.get<std::string>() + "; run `bottle cleanup`");
}

// What an event says to a person; empty: nothing.
Line event_line(const std::string& kind, const json& event) {
  std::string what = event.value("what", "");
  if (kind == "step") return dim(elapsed() + "  " + event.value("step", ""));
  if (kind == "running")
    return dim(elapsed() + "  self-test passed; the agent runs (session " + event.value("session", "") + ")");
  if (kind == "guard-lost" || kind == "link-lost" || kind == "link-trying" || kind == "warning" ||
      kind == "record-full")
    return "bottle: " + what;
  if (kind == "link-back") return dim("· reconnected");
  if (kind == "vm") return dim("· VM " + event.value("name", "") + " is up");
  if (kind == "missed")
    return "bottle: " + std::to_string(event.value("bytes", 0)) +
           " bytes of output were dropped, because bottle keeps only the last ones";
  if (kind == "guard-error") return "bottle: the guard: " + what;
  if (kind == "typing-ended") return "bottle: mosh has ended; the terminal continues over ssh";
  if (kind == "guard-back") return "bottle: the guard is back with the same policy";
  if (kind == "record-back") return "bottle: the guard's decisions can be recorded again, and it lets traffic through";
  return {};
}

}  // namespace

void begin_clock() { began = std::chrono::steady_clock::now(); }

void show_event(const json& event, const Output& output) {
  if (output.json) return say_json(event);
  if (output.quiet || !event.is_object()) return;
  if (Line line = event_line(event.value("event", ""), event); !line.empty()) say(line);
}

void show_result(const json& result, const Output& output) {
  if (output.json) return say_json(result);
  if (output.quiet) return;
  auto back = result.value("back", json::object());
  if (back.contains("error")) say("bottle: bringing the work back failed: " + back.value("error", ""));
  if (std::string text = back.value("text", ""); !text.empty()) {
    say("");
    say(lines_of(text));
  }
  auto egress = result.value("egress", json::object());
  show_blocked(result, egress.value("denied", json::array()));
  show_secrets(egress.value("secrets", json::array()));
  if (egress.contains("recorded")) show_recorded(result, egress["recorded"]);
  show_receipt(result.value("receipt", json::object()), !back.contains("error"));
  say(look_lines(back));
}

void show_swept(const session::Swept& swept, const Output& output) {
  if (output.json) return say_json({{"event", "swept"}, {"receipt", to_json(swept.receipt)}, {"back", swept.back}});
  std::string text = swept.back.is_object() ? swept.back.value("text", "") : "";
  if (!text.empty()) {
    say("bottle: work of session " + swept.receipt.session + ", whose supervisor died:");
    say(lines_of(text));
    say(look_lines(swept.back));
  }
  for (const auto& what : swept.receipt.left) say("bottle: not removed: " + what);
}

void show_detached(const std::string& session) {
  say("");
  say("bottle: detached; the agent keeps running. To come back, run `bottle attach " + session + "`.");
}

}  // namespace bottle::app
