#include "app/egress/records.h"

#include <unistd.h>

#include <filesystem>

#include "app/egress/decisions.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "session/ledger/files.h"
#include "session/ledger/info.h"

namespace bottle::app {
namespace {

// Reads the seals from the result in the same directory as the records. Returns an empty list if there is no result.
// Fails if the result cannot be read, because a cut end would not be found without it.
Result<std::vector<wire::AuditSeal>> seals_in(const std::string& directory) {
  auto result = session::read_result(directory);
  if (!result && result.error().code == Code::not_found) return std::vector<wire::AuditSeal>();
  if (!result)
    return std::unexpected(
        std::move(result.error()).during("reading how the record ended from " + directory + "/" + session::kResult));
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

}  // namespace

Result<std::vector<Record>> records_of(const std::string& what) {
  if (is_record_path(what)) return std::vector{TRY(record_at(what))};
  TRY(check_session_name(what));
  std::vector<Record> records;
  for (const char* name : kRecords) {
    Record record = TRY(record_at(directories().results_of(what) + "/" + name));
    // A record that the result names must exist, so a missing one is checked too.
    if (record.seal || ::access(record.path.c_str(), F_OK) == 0) records.push_back(std::move(record));
  }
  if (records.empty())
    return fail(Code::not_found, "session " + what + " has no record of decisions",
                "`bottle list --all` shows the sessions");
  return records;
}

}  // namespace bottle::app
