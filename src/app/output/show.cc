#include "app/output/show.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <iostream>

namespace bottle::app {

using nlohmann::json;

namespace {

const auto kBegan = std::chrono::steady_clock::now();

// "1.24 s": since the program began.
std::string elapsed() {
  char text[32];
  std::snprintf(text, sizeof text, "%5.2f s",
                std::chrono::duration<double>(std::chrono::steady_clock::now() - kBegan).count());
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

}  // namespace

void show_event(const json& event, const Output& output) {
  if (output.json) {
    std::cerr << event.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
    return;
  }
  if (output.quiet || !event.is_object()) return;
  std::string kind = event.value("event", "");
  std::string end = ::isatty(0) ? "\r\n" : "\n";
  if (kind == "step") std::cerr << dim(elapsed() + "  " + event.value("step", "")) << end;
  if (kind == "running")
    std::cerr << dim(elapsed() + "  self-test passed; the agent runs (session " + event.value("session", "") + ")")
              << end;
  if (kind == "guard-lost") std::cerr << "bottle: " << event.value("what", "") << end;
  if (kind == "link-lost" || kind == "link-trying" || kind == "warning")
    std::cerr << "bottle: " << event.value("what", "") << end;
  if (kind == "link-back") std::cerr << dim("· reconnected") << end;
  if (kind == "vm") std::cerr << dim("· VM " + event.value("name", "") + " is up") << end;
  if (kind == "missed")
    std::cerr << "bottle: " << event.value("bytes", 0)
              << " bytes of output were dropped, because bottle keeps only the last ones" << end;
  if (kind == "guard-error") std::cerr << "bottle: the guard: " << event.value("what", "") << end;
  if (kind == "typing-ended") std::cerr << "bottle: mosh has ended; the terminal continues over ssh" << end;
  if (kind == "guard-back") std::cerr << "bottle: the guard is back with the same policy" << end;
}

void show_result(const json& result, const Output& output) {
  if (output.json) {
    std::cerr << result.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
    return;
  }
  if (output.quiet) return;
  auto back = result.value("back", json::object());
  if (back.contains("error")) std::cerr << "bottle: bringing the work back failed: " << back.value("error", "") << "\n";
  if (std::string text = back.value("text", ""); !text.empty())
    std::cerr << "\n" << text << (text.ends_with("\n") ? "" : "\n");
  auto egress = result.value("egress", json::object());
  auto denied = egress.value("denied", json::array());
  if (!denied.empty()) {
    std::cerr << "\nBlocked:\n";
    for (const auto& entry : denied)
      std::cerr << "  " << one_line(entry.value("host", "")) << "  (" << one_line(entry.value("code", "")) << ", "
                << entry.value("count", 0) << "×)\n";
    std::string rules;
    for (const auto& entry : denied)
      if (std::string rule = entry.value("allow", "");
          !rule.empty() && rules.find("  - " + rule + "\n") == std::string::npos)
        rules += "  - " + rule + "\n";
    std::string bottle = result.value("bottle", "");
    if (!rules.empty())
      std::cerr << "To allow them, add these rules to bottles." << bottle
                << ".egress.allow, or run `bottle allow --bottle " << bottle << " --save HOST`:\n"
                << rules;
    std::cerr << dim("  for all decisions, run `bottle logs --egress " + result.value("session", "") + "`") << "\n";
  }
  for (const auto& each : egress.value("secrets", json::array())) {
    std::string name = one_line(each.value("secret", ""));
    if (each.value("code", "") == "secret_to_model")
      std::cerr << "bottle: the agent read the value of secret " << name << "; it was not sent to the model as it is\n";
    else std::cerr << dim("· the placeholder of secret " + name + " went to the model, where it is worthless") << "\n";
  }
  if (egress.contains("recorded")) {
    std::cerr << "\nRECORD MODE: the session would have needed these rules in bottles." << result.value("bottle", "")
              << ".egress.allow:\n";
    for (const auto& rule : egress["recorded"]) std::cerr << "  - " << rule.get<std::string>() << "\n";
    if (egress["recorded"].empty()) std::cerr << dim("  no rules besides those it has") << "\n";
  }
  auto receipt = result.value("receipt", json::object());
  if (auto vm = receipt.value("vm", json::object()); !vm.empty()) {
    if (vm.value("kept", false))
      std::cerr << "bottle: the VM " << vm.value("name", "") << " was not destroyed (" << vm.value("why", "")
                << "); see `bottle vm list`\n";
    else if (vm.value("confirmed", false))
      std::cerr << dim("VM " + vm.value("name", "") + when("created", vm.value("made", int64_t{0})) +
                       when("destroyed", vm.value("at", int64_t{0})) +
                       ", is gone with everything on it, confirmed by " + vm.value("confirmed_by", "its provider"))
                << "\n";
  }
  bool confirmed = receipt.value("confirmed", false), fetched = !back.contains("error");
  if (confirmed && receipt.contains("vm")) return;  // the engine went with all the rest
  auto left = receipt.value("left", json::array());
  if (confirmed)
    std::cerr << dim("The engine" + (receipt.contains("machine") ? " on " + receipt.value("machine", "") : "") +
                     " confirmed that container, guard and network are gone.")
              << "\n";
  else if (left.empty() && fetched && !receipt.contains("vm"))
    std::cerr << "bottle: container, guard and network may still exist; run `bottle cleanup`\n";
  for (const auto& what : confirmed ? json::array() : left)
    std::cerr << "bottle: not removed: " << one_line(what.get<std::string>()) << "; run `bottle cleanup`\n";
}

void show_swept(const session::Swept& swept, const Output& output) {
  if (output.json) {
    json event = {{"event", "swept"}, {"receipt", to_json(swept.receipt)}, {"back", swept.back}};
    std::cerr << event.dump() << std::endl;
    return;
  }
  std::string text = swept.back.is_object() ? swept.back.value("text", "") : "";
  if (!text.empty())
    std::cerr << "bottle: work of session " << swept.receipt.session << ", whose supervisor died:\n"
              << text << (text.ends_with("\n") ? "" : "\n");
  for (const auto& what : swept.receipt.left) std::cerr << "bottle: not removed: " << what << "\n";
}

void show_detached(const std::string& session) {
  std::cerr << "\nbottle: detached; the agent keeps running. To come back, run `bottle attach " << session << "`.\n";
}

}  // namespace bottle::app
