// Prints the findings of `bottle doctor` and `bottle remote check` in the same form.
#include "app/output/finding.h"

#include <algorithm>

#include "app/output/output.h"

namespace bottle::app {

using nlohmann::json;

json to_json(const Finding& finding) {
  const char* severity = finding.severity == Severity::ok ? "ok" : finding.severity == Severity::warn ? "warn" : "fail";
  return {{"code", finding.code}, {"severity", severity}, {"what", finding.what}, {"todo", finding.todo}};
}

int print_findings(const std::vector<Finding>& findings, bool as_json) {
  bool ok = std::ranges::none_of(findings, [](const Finding& f) { return f.severity == Severity::fail; });
  if (as_json) {
    json all = json::array();
    for (const Finding& finding : findings) all.push_back(to_json(finding));
    print_json({{"ok", ok}, {"findings", all}});
    return ok ? 0 : 1;
  }
  for (const Finding& finding : findings) {
    const char* mark = finding.severity == Severity::ok ? "ok  " : finding.severity == Severity::warn ? "warn" : "FAIL";
    print((finding.severity == Severity::ok ? dim(mark, 1) : bold(mark)) + "  " + finding.what);
    if (!finding.todo.empty()) print("      " + finding.todo);
  }
  return ok ? 0 : 1;
}

}  // namespace bottle::app
