// Encodes and checks the messages of the gate. The helper runs as PID 1 and acts on the go message without further
// checks, so everything that execve(2), setenv(3) or open(2) could misunderstand is refused here.
#include "wire/gate/gate.h"

#include <algorithm>

namespace bottle::wire {
namespace {

// execve(2) and open(2) would silently cut a text at a NUL byte.
bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

void check_variables(Object& o, const char* key, const std::map<std::string, std::string>& variables) {
  for (const auto& [name, value] : variables)
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value))
      return o.refuse(key, "has a variable that cannot be set");
}

void check(Object& o, const Go& go) {
  check_variables(o, "env", go.env);
  check_variables(o, "locale", go.locale);
  if (go.argv.empty() || go.argv[0].empty()) o.refuse("argv", "names no program");
  if (std::ranges::any_of(go.argv, has_nul)) o.refuse("argv", "has a NUL byte");
  if (!go.cwd.empty() && (!go.cwd.starts_with('/') || has_nul(go.cwd))) o.refuse("cwd", "is not an absolute path");
}

}  // namespace

void fields(Object& o, Probe& probe) {
  o.words("name", probe.name, 1000);
  o.flag("ok", probe.ok);
  o.words("detail", probe.detail);
}

void fields(Object& o, Report& report) {
  o.flag("ok", report.ok);
  o.objects("probes", report.probes, kFew);
}

// Uses the rule by which the supervisor judges the report, so that both sides agree.
Report report_of(std::vector<Probe> probes) {
  Report report{true, std::move(probes)};
  report.ok = is_clean(report);
  return report;
}

bool is_clean(const Report& report) {
  // A report without probes proves nothing, whatever it claims.
  return report.ok && !report.probes.empty() && std::ranges::all_of(report.probes, &Probe::ok);
}

std::string surprises(const Report& report) {
  std::string text;
  for (const auto& probe : report.probes)
    if (!probe.ok) text += (text.empty() ? "" : "; ") + probe.name + ": " + probe.detail;
  return text.empty() ? "no probe ran" : text;
}

void fields(Object& o, GoFile& file) {
  o.text("path", file.path, kPath);
  // The bound leaves no room for a set-user-ID bit.
  o.number("mode", file.mode, 0, 0777);
  o.text("text", file.text, kValue);
  if (o.is_read() && (!file.path.starts_with('/') || file.path.ends_with('/') || has_nul(file.path)))
    o.refuse("path", "is not the absolute path of a file");
}

void fields(Object& o, Go& go) {
  o.table("env", go.env, kMany, kValue);
  o.table_if_any("locale", go.locale, kFew, kName);
  o.texts("argv", go.argv, kMany, kValue);
  o.text("cwd", go.cwd, kPath);
  o.text("ca", go.ca, kLongText);
  o.objects("files", go.files, kFew);
  o.text("stdin", go.stdin_text, kLongText);
  o.flag_if_set("ssh_agent", go.ssh_agent);
  if (o.is_read()) check(o, go);
}

}  // namespace bottle::wire
