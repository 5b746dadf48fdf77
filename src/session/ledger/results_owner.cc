// The id is written before anything else is among the results, and removed after everything else, so that no results
// are ever without the id of their session.
#include "session/ledger/results_owner.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "base/files/durable.h"
#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/text/path_parts.h"

namespace bottle::session {
namespace {

constexpr std::string_view kId = "id";
constexpr size_t kLongestId = 64;

std::string id_file(const std::string& results) { return results + "/" + std::string(kId); }

}  // namespace

Result<> check_unused(const std::string& results) {
  auto names = names_in(results);
  if (!names) return std::unexpected(std::move(names.error()));
  if (std::ranges::all_of(*names, [](const std::string& name) { return name == kId; })) return {};
  std::string session(name_in(results));
  return fail(Code::conflict, "that machine still has the results of another session " + session,
              "choose another --name, or run `bottle cleanup` where that session was started");
}

Result<> claim_results(const std::string& results, const std::string& id) {
  if (id.empty()) return {};
  return write_file_durably(id_file(results), id);
}

Result<bool> are_results_of(const std::string& results, const std::string& id) {
  if (::access(results.c_str(), F_OK) != 0) {
    if (errno == ENOENT) return false;
    return fail_errno("looking for " + results);
  }
  auto found = read_file(id_file(results), kLongestId);
  if (!found && found.error().code == Code::not_found) return id.empty();
  return TRY(std::move(found)) == id;
}

void remove_unused_results(const std::string& results) {
  auto names = names_in(results);
  if (names && names->size() == 1 && names->front() == kId) ::unlink(id_file(results).c_str());
  ::rmdir(results.c_str());  // meant to fail if there is anything else
}

Result<> remove_results(const std::string& results) {
  std::error_code error;
  auto names = TRY(names_in(results));
  for (const auto& name : names) {
    if (name != kId) std::filesystem::remove_all(results + "/" + name, error);
    if (error) return fail(Code::internal, "removing " + results + "/" + name + ": " + error.message());
  }
  std::filesystem::remove_all(results, error);
  if (error) return fail(Code::internal, "removing " + results + ": " + error.message());
  return {};
}

}  // namespace bottle::session
