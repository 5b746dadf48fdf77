#include "session/report.h"

namespace bottle::session {
namespace {

using nlohmann::json;

constexpr size_t kMostProbes = 1000, kMostText = 1000;

std::unexpected<Error> unreadable(const char* what) {
  return fail(Code::protocol, std::string("the self-test's report is unreadable: ") + what);
}

// Nothing in it can speak to the operator's terminal.
std::string harmless(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size() && out.size() < kMostText; ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    out += c < 0x20 || c == 0x7f ? '?' : text[i];
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) out.back() = '?', ++i;
  }
  return out;
}

}  // namespace

Result<json> read_report(std::string_view text) {
  json told = json::parse(text, nullptr, false);
  if (!told.is_object()) return unreadable("it is not an object");
  if (!told.contains("ok") || !told["ok"].is_boolean()) return unreadable("ok");
  json report = {{"ok", told["ok"]}, {"probes", json::array()}};
  if (told.contains("what")) {
    if (!told["what"].is_string()) return unreadable("what");
    report["what"] = harmless(told["what"].get<std::string>());
  }
  if (!told.contains("probes")) return report["ok"] = false, report;
  if (!told["probes"].is_array() || told["probes"].size() > kMostProbes) return unreadable("probes");
  for (const json& probe : told["probes"]) {
    if (!probe.is_object() || !probe.contains("name") || !probe["name"].is_string() || !probe.contains("ok") ||
        !probe["ok"].is_boolean())
      return unreadable("a probe is malformed");
    if (probe.contains("detail") && !probe["detail"].is_string())
      return unreadable("the detail of a probe is not text");
    std::string detail = probe.contains("detail") ? harmless(probe["detail"].get<std::string>()) : "";
    report["probes"].push_back(
        {{"name", harmless(probe["name"].get<std::string>())}, {"ok", probe["ok"]}, {"detail", detail}});
    if (probe["ok"] != true) report["ok"] = false;
  }
  if (report["probes"].empty()) report["ok"] = false;
  return report;
}

std::string surprises(const json& report) {
  std::string text;
  for (const auto& probe : report.value("probes", json::array()))
    if (!probe.value("ok", false))
      text += (text.empty() ? "" : "; ") + probe.value("name", "?") + ": " + probe.value("detail", "");
  return text.empty() ? report.value("what", "no probe ran") : text;
}

}  // namespace bottle::session
