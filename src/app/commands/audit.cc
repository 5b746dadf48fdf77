#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "session/guard_link/audit_chain.h"
#include "wire/result.h"

namespace bottle::app {
namespace {

using nlohmann::json;
using session::AuditCheck, session::AuditReport;

constexpr size_t kLongestLine = 256 << 10;  // in bytes; a record has none that is so long
constexpr size_t kLargestResult = 4 << 20;

struct AuditOptions {
  std::string what, head;
  bool as_json = false;
};

// A record to check, and how it must end.
struct Record {
  std::string path;
  std::optional<wire::AuditSeal> seal;
  bool may_be_open = false;
  AuditReport report = {};
};

// Reads the seals of the result that is beside the records. Returns none if there is no result.
std::vector<wire::AuditSeal> seals_in(const std::string& directory) {
  auto text = read_file(directory + "/result.json", kLargestResult);
  if (!text) return {};
  auto result = wire::decode<wire::SessionResult>(*text, wire::From::ours);
  return result ? result->audit : std::vector<wire::AuditSeal>();
}

Record record_at(const std::string& path) {
  Record record{path, {}, false};
  std::filesystem::path split(path);
  std::string directory = split.parent_path().empty() ? "." : split.parent_path().string();
  for (const auto& seal : seals_in(directory))
    if (seal.file == split.filename()) record.seal = seal;
  return record;
}

Result<std::vector<Record>> records_of(const AuditOptions& o) {
  if (o.what.find('/') != std::string::npos || o.what.ends_with(".jsonl")) return std::vector{record_at(o.what)};
  TRY(check_session_name(o.what));
  std::vector<Record> records;
  bool runs = std::ranges::count(names_in(directories().sessions), o.what) > 0;
  for (const char* name : {"egress.jsonl", "egress-near.jsonl"}) {
    Record record = record_at(directories().results + "/" + o.what + "/" + name);
    record.may_be_open = runs;
    // A record that the result names must be there.
    if (record.seal || ::access(record.path.c_str(), F_OK) == 0) records.push_back(std::move(record));
  }
  if (records.empty())
    return fail(Code::not_found, "session " + o.what + " has no record of decisions",
                "`bottle list` shows the sessions");
  return records;
}

// Feeds the lines of the file to the check. A line that is still being written has no end and is left out, if the
// record may be open.
Result<> read_lines(const Record& record, AuditCheck& check) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(std::fopen(record.path.c_str(), "rbe"), std::fclose);
  if (!in) return fail_errno("reading " + record.path);
  std::string line, piece(64 << 10, '\0');
  for (size_t size; (size = std::fread(piece.data(), 1, piece.size(), in.get())) > 0;) {
    std::string_view rest = std::string_view(piece).substr(0, size);
    for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
      line += rest.substr(0, end);
      check.feed(line);
      line.clear();
    }
    if (line.size() < kLongestLine) line += rest;
  }
  if (std::ferror(in.get())) return fail_errno("reading " + record.path);
  if (!line.empty() && !record.may_be_open) check.feed(line);
  return {};
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
  std::string state = !report.faults.empty()         ? "not as it was written"
                      : report.closed || record.seal ? "whole"
                                                     : "whole so far, and not closed yet";
  print(record.path + ": " + state + ", " + std::to_string(report.lines) + " lines");
  for (const auto& fault : report.faults) print("  " + describe(fault));
  if (report.more) print("  and " + std::to_string(report.more) + " more faults");
  print("  head " + report.head);
}

Result<int> verify(const AuditOptions& o) {
  auto records = TRY(records_of(o));
  if (!o.head.empty() && records.size() > 1)
    return fail(Code::invalid, "--head is for one record, and this session has two", "name the file instead");
  bool ok = true;
  json files = json::array();
  for (auto& record : records) {
    AuditCheck check;
    TRY(read_lines(record, check));
    record.report = check.finish(record.seal ? &*record.seal : nullptr, record.may_be_open);
    if (!o.head.empty() && record.report.head != o.head && record.report.faults.empty())
      record.report.faults.push_back({session::AuditFault::Kind::changed, record.report.lines});
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
