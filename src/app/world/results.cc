// Finds results through `places.json`, in which the supervisor lists every directory whose repository the session
// changed. A session without that file changed none, while an unreadable file is an error, because the session may
// have left refs that would never be found again.
#include "app/world/results.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "app/output/output.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/text/line.h"
#include "base/text/shell_word.h"
#include "session/ledger/info.h"
#include "wire/repositories/repositories.h"
#include "wire/result.h"

namespace bottle::app {
namespace {

Result<wire::ChangedRepositories> changed_in(const std::string& directory) {
  return wire::decode_repositories(TRY(read_file(directory + "/places.json", wire::ChangedRepositories::kMost)));
}

EndedSession described(const std::string& session, const std::string& directory, int64_t ended) {
  EndedSession found{.session = session, .ended = ended, .bottle = {}, .machine = {}};
  if (auto result = session::read_result(directory)) {
    found.bottle = result->bottle;
    found.machine = result->receipt.machine;
    found.exit = result->exit;
  }
  auto changed = changed_in(directory);
  if (changed && !changed->repositories.empty()) found.workspace = changed->repositories[0].directory;
  return found;
}

// Returns whether one of the directories contains the other, or they are the same.
bool around(const std::filesystem::path& one, const std::filesystem::path& other) {
  auto [a, b] = std::ranges::mismatch(one, other);
  return a == one.end() || b == other.end();
}

// Returns whether the session changed something in, below or above the directory. Without a list of what it changed,
// it changed nothing; if the list cannot be read, it may have.
bool concerns(const std::string& session, const std::filesystem::path& here) {
  auto changed = changed_in(directories().results_of(session));
  if (!changed) return changed.error().code != Code::not_found;
  return std::ranges::any_of(changed->repositories, [&](const wire::ChangedRepository& repository) {
    std::error_code error;
    return around(std::filesystem::weakly_canonical(repository.directory, error), here) && !error;
  });
}

}  // namespace

Result<std::vector<EndedSession>> ended_sessions() {
  std::string all = directories().results;
  std::vector<EndedSession> ended;
  for (const auto& name : TRY(shown_in(all))) {
    struct stat s{};
    std::string directory = all + "/" + name;
    if (!is_session_name(name) || runs_now(name) || ::stat(directory.c_str(), &s) != 0 || !S_ISDIR(s.st_mode)) continue;
    ended.push_back(described(name, directory, s.st_mtim.tv_sec));
  }
  std::ranges::sort(ended, [](const EndedSession& a, const EndedSession& b) {
    return a.ended != b.ended ? a.ended > b.ended : a.session < b.session;
  });
  return ended;
}

Result<std::string> ended_session(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  std::error_code error;
  auto here = std::filesystem::current_path(error);
  if (error) return fail(Code::unavailable, "finding the current directory: " + error.message());
  std::vector<std::string> found;
  for (const auto& each : TRY(ended_sessions()))
    if (concerns(each.session, here)) found.push_back(each.session);
  if (found.empty())
    return fail(Code::not_found, "no session that has ended changed anything in " + here.string(),
                "name a SESSION; `bottle list --all` shows them");
  if (found.size() > 1)
    return fail(Code::invalid, "several sessions changed something in " + here.string(),
                "name " + manifest::suggest("", found) + " (the first is the newest)");
  say("session " + found[0]);
  return found[0];
}

Result<Results> results_of(const std::string& session) {
  TRY(check_session_name(session));
  auto d = directories();
  // While the session lives, its results are not complete.
  if (runs_now(session)) {
    auto view = session::read_ledger(d, session);
    bool is_dead = view && view->owner.is_gone() && !view->machine;
    return fail(Code::conflict, "the session " + session + " has not ended",
                is_dead ? "its supervisor is dead; run `bottle cleanup` first, which brings the work home"
                        : "run `bottle stop " + session + "` first");
  }
  Results results{session, d.results_of(session), {}, {}, {}};
  if (::access(results.directory.c_str(), F_OK) != 0) return no_results(session);
  auto changed = changed_in(results.directory);
  if (!changed && changed.error().code == Code::not_found) return results;
  if (!changed)
    return fail(changed.error().code,
                "reading which repositories the session changed from " + results.directory +
                    "/places.json: " + changed.error().what,
                "the results are in " + results.directory + ", and `git for-each-ref refs/bottle/" + session +
                    "` lists the refs of a repository");
  for (const auto& repository : changed->repositories) {
    results.places.push_back(repository.directory);
    if (!repository.patch.empty()) results.patches.push_back({repository.directory, repository.patch});
    if (!repository.filtered.empty())
      results.copies.push_back(workspace::copy_command(repository.filtered, repository.directory));
  }
  return results;
}

Result<Results> changes_of(const std::string& session) {
  Results results = TRY(results_of(session));
  if (results.patches.empty() && results.copies.empty() && !results.places.empty())
    return fail(Code::not_found,
                "session " + session + " has no patch; what it left is on refs, or only in what `bottle logs " +
                    session + "` shows",
                "`git -C " + shell_word(results.places[0]) + " for-each-ref refs/bottle/" + session + "` lists them");
  if (results.patches.empty() && results.copies.empty())
    return fail(Code::not_found, "session " + session + " changed no files that a patch could hold",
                "`bottle logs " + session + "` shows what came back");
  // What came home is from a checkpoint, and what followed is lost or still in its container.
  if (auto result = session::read_result(results.directory); result && result->back && !result->back->error.empty())
    say("bottle: this may not be all that the session made: " + folded(result->back->error, 300));
  return results;
}

void tell_copies(const Results& results) {
  if (results.copies.empty()) return;
  say("Some files are not in the patch. To take them, copy them:");
  for (const auto& command : results.copies) say("  " + command);
}

}  // namespace bottle::app
