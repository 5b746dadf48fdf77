#include "wire/gate.h"

#include <algorithm>

namespace bottle::wire {

void fields(Object& o, Probe& probe) {
  o.words("name", probe.name, 1000);
  o.flag("ok", probe.ok);
  o.words("detail", probe.detail);
}

void fields(Object& o, Report& report) {
  o.flag("ok", report.ok);
  o.objects("probes", report.probes, kFew);
}

bool is_clean(const Report& report) {
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
  o.number("mode", file.mode, 0, 0777);
  o.text("text", file.text, kValue);
}

void fields(Object& o, Go& go) {
  o.table("env", go.env, kMany, kValue);
  if (o.optional("locale", !go.locale.empty())) o.table("locale", go.locale, kFew, kName);
  o.texts("argv", go.argv, kMany, kValue);
  o.text("cwd", go.cwd, kPath);
  o.text("ca", go.ca, kLongText);
  o.objects("files", go.files, kFew);
  o.text("stdin", go.stdin_text, kLongText);
  if (o.optional("ssh_agent", go.ssh_agent)) o.flag("ssh_agent", go.ssh_agent);
}

}  // namespace bottle::wire
