// Checks the records of a session against their own chain and against the result of the session, which says how each
// record ended. Only the end of a running session's record may be missing.
#include <algorithm>
#include <memory>

#include "app/commands/commands.h"
#include "app/egress/decisions.h"
#include "app/egress/records.h"
#include "app/output/output.h"
#include "base/text/words.h"
#include "session/audit/audit_chain.h"

namespace bottle::app {
namespace {

using nlohmann::json;
using session::AuditCheck, session::AuditReport;

struct AuditOptions {
  std::string what, head;
  bool as_json = false;
};

struct Checked {
  Record record;
  AuditReport report = {};
};

// Feeds the lines of the file to the check, and ends it. If the record may be open and has no seal, leaves out a last
// line without a line end, because it is still being written. A file with a decision and too many lines that are none
// is a record that was changed. Nothing is known of its end, because the rest is not read.
Result<session::AuditReport> checked(const Record& record) {
  AuditCheck check;
  uint64_t lines = 0;
  auto take = [&](const std::string& line) {
    ++lines;
    check.feed(line);
  };
  auto rest = read_record(record.path, take, [&] { return check.unreadable(); });
  bool stopped = !rest && check.unreadable() > kMostUnreadable && lines > check.unreadable();
  if (stopped) return check.finish(nullptr, true);
  if (!rest) return std::unexpected(std::move(rest.error()));
  if (!rest->empty() && (record.seal || !record.may_be_open)) take(*rest);
  if (lines > 0 && check.unreadable() == lines && !record.seal)
    return fail(
        Code::invalid,
        record.path + " is not an audit: none of its " + std::to_string(lines) + " lines is a decision of a guard",
        "name a session, or a file such as egress.jsonl of its results");
  return check.finish(record.seal ? &*record.seal : nullptr, record.may_be_open);
}

json as_json(const Checked& checked) {
  const auto& [record, report] = checked;
  json faults = json::array();
  for (const auto& each : report.faults)
    faults.push_back(
        {{"kind", name_of(each.kind)}, {"line", each.line}, {"count", each.count}, {"what", describe(each)}});
  return {{"file", record.path},     {"lines", report.lines}, {"head", report.head}, {"closed", report.closed},
          {"sealed", !!record.seal}, {"more", report.more},   {"faults", faults}};
}

void show(const Checked& checked) {
  const auto& [record, report] = checked;
  std::string state = !report.faults.empty() ? "changed since it was written"
                      : record.seal          ? "complete"
                      : report.closed        ? "complete, but no result confirms where it ends"
                                             : "unchanged so far, and not closed yet";
  print(record.path + ": " + state + ", " + std::to_string(report.lines) + " lines");
  for (const auto& fault : report.faults) print("  " + describe(fault));
  if (report.more) print("  and " + std::to_string(report.more) + " more faults");
  print("  head " + report.head);
}

// Returns whether the text could be the head of a record.
bool is_head(std::string_view text) {
  constexpr size_t kDigits = 64;  // of a SHA-256
  return text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

Result<int> verify(AuditOptions o) {
  o.head = lower(o.head);
  if (!o.head.empty() && !is_head(o.head))
    return fail(Code::invalid, "'" + o.head + "' is not the head of a record",
                "a head has 64 hexadecimal digits, as in `audit` of a session's result");
  auto records = TRY(records_of(o.what));
  if (!o.head.empty() && records.size() > 1)
    return fail(Code::invalid, "--head is for one record, and this session has two", "name the file instead");
  bool ok = true;
  json files = json::array();
  for (const auto& record : records) {
    Checked each{record, TRY(checked(record))};
    // If a whole record was replaced by another valid one, the check finds no fault in it. Only a head that the
    // operator kept elsewhere reveals that.
    auto& report = each.report;
    if (!o.head.empty() && report.head != o.head && report.faults.empty())
      report.faults.push_back({session::AuditFault::Kind::changed, std::max<uint64_t>(report.lines, 1)});
    ok = ok && report.faults.empty();
    if (o.as_json) files.push_back(as_json(each));
    else show(each);
  }
  if (o.as_json) print_json({{"ok", ok}, {"files", files}});
  return ok ? 0 : 1;
}

}  // namespace

void add_audit(Command app) {
  auto o = std::make_shared<AuditOptions>();
  Command command = app.group("audit").command("verify");
  command.option("session", o->what).required();
  command.option("--head", o->head);
  command.flag("--json", o->as_json);
  command.runs([o] { return exit_status(verify(*o), o->as_json); });
}

}  // namespace bottle::app
