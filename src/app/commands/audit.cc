// Checks the records of a session against their own chain and against the result of the session, which says how each
// record ended. The result is read strictly: if it exists and cannot be read, that is an error, because an attacker who
// can cut a record could also damage the result. Only the end of a running session's record may be missing.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "app/commands/commands.h"
#include "app/egress/decisions.h"
#include "app/output/output.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "base/text/lower.h"
#include "session/audit/audit_chain.h"
#include "session/ledger/files.h"
#include "wire/result.h"

namespace bottle::app {
namespace {

using nlohmann::json;
using session::AuditCheck, session::AuditReport;

constexpr size_t kLargestResult = 4 << 20;

struct AuditOptions {
  std::string what, head;
  bool as_json = false;
};

// Names a record to check, and how it must end.
struct Record {
  std::string path;
  std::optional<wire::AuditSeal> seal;
  bool may_be_open = false;
  AuditReport report = {};
};

// Reads the seals from the result in the same directory as the records. Returns an empty list if there is no result.
// Fails if the result cannot be read, because a cut end would not be found without it.
Result<std::vector<wire::AuditSeal>> seals_in(const std::string& directory) {
  std::string path = directory + "/" + session::kResult;
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return std::vector<wire::AuditSeal>();
  auto text = TRY(read_file(path, kLargestResult));
  auto result = wire::decode<wire::SessionResult>(text, wire::From::ours);
  if (!result) return std::unexpected(std::move(result.error()).during("reading how the record ended from " + path));
  return std::move(result->audit);
}

// Returns whether the directory contains the results of a session that is still running.
bool is_of_running(const std::filesystem::path& directory) {
  std::error_code error;
  auto full = std::filesystem::weakly_canonical(directory, error), all = full.parent_path();
  return !error && std::filesystem::equivalent(all, directories().results, error) && !error &&
         runs_now(full.filename().string());
}

Result<Record> record_at(const std::string& path) {
  if (path == kStdin) return Record{path, {}};  // nothing says where it comes from
  std::filesystem::path split(path);
  std::string directory = split.parent_path().empty() ? "." : split.parent_path().string();
  Record record{path, {}, is_of_running(directory)};
  for (const auto& seal : TRY(seals_in(directory)))
    // A result has the seals of both records, by the names of their files.
    if (seal.file == split.filename()) record.seal = seal;
  return record;
}

Result<std::vector<Record>> records_of(const AuditOptions& o) {
  if (is_record_path(o.what)) return std::vector{TRY(record_at(o.what))};
  TRY(check_session_name(o.what));
  std::vector<Record> records;
  for (const char* name : kRecords) {
    Record record = TRY(record_at(directories().results_of(o.what) + "/" + name));
    // A record that the result names must exist, so a missing one is checked too.
    if (record.seal || ::access(record.path.c_str(), F_OK) == 0) records.push_back(std::move(record));
  }
  if (records.empty())
    return fail(Code::not_found, "session " + o.what + " has no record of decisions",
                "`bottle list --all` shows the sessions");
  return records;
}

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
    return fail(Code::invalid,
                record.path + " is no record: none of its " + std::to_string(lines) + " lines is a decision of a guard",
                "name a session, or a file such as egress.jsonl of its results");
  return check.finish(record.seal ? &*record.seal : nullptr, record.may_be_open);
}

json as_json(const Record& record) {
  const auto& report = record.report;
  json faults = json::array();
  for (const auto& each : report.faults)
    faults.push_back(
        {{"kind", name_of(each.kind)}, {"line", each.line}, {"count", each.count}, {"what", describe(each)}});
  return {{"file", record.path},     {"lines", report.lines}, {"head", report.head}, {"closed", report.closed},
          {"sealed", !!record.seal}, {"more", report.more},   {"faults", faults}};
}

void show(const Record& record) {
  const auto& report = record.report;
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
  auto records = TRY(records_of(o));
  if (!o.head.empty() && records.size() > 1)
    return fail(Code::invalid, "--head is for one record, and this session has two", "name the file instead");
  bool ok = true;
  json files = json::array();
  for (auto& record : records) {
    record.report = TRY(checked(record));
    // If a whole record was replaced by another valid one, the check finds no fault in it. Only a head that the
    // operator kept elsewhere reveals that.
    if (!o.head.empty() && record.report.head != o.head && record.report.faults.empty())
      record.report.faults.push_back({session::AuditFault::Kind::changed, std::max<uint64_t>(record.report.lines, 1)});
    ok = ok && record.report.faults.empty();
    if (o.as_json) files.push_back(as_json(record));
    else show(record);
  }
  if (o.as_json) print_json({{"ok", ok}, {"files", files}});
  return ok ? 0 : 1;
}

}  // namespace

void add_audit(Command app, int& exit) {
  auto o = std::make_shared<AuditOptions>();
  Command command = app.group("audit").command("verify");
  command.option("session", o->what).required();
  command.option("--head", o->head);
  command.flag("--json", o->as_json);
  command.runs([o, &exit] { exit = exit_status(verify(*o), o->as_json); });
}

}  // namespace bottle::app
