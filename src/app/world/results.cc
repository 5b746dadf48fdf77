// Finds results through `places.json`, in which the supervisor lists every directory whose repository the session
// changed. A session without that file changed none, while an unreadable file is an error, because the session may
// have left refs that would never be found again.
#include "app/world/results.h"

#include <unistd.h>

#include <algorithm>

#include "app/output/output.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "base/text/shell_word.h"
#include "wire/places/places.h"

namespace bottle::app {

Result<Results> results_of(const std::string& session) {
  TRY(check_session_name(session));
  auto d = directories();
  // While the session lives, its results are not complete.
  if (runs_now(session))
    return fail(Code::conflict, "the session " + session + " has not ended", "run `bottle stop " + session + "` first");
  Results results{session, d.results + "/" + session, {}, {}, {}};
  if (::access(results.directory.c_str(), F_OK) != 0) return no_results(session);
  std::string path = results.directory + "/places.json";
  auto text = read_file(path, wire::ChangedPlaces::kMost);
  if (!text && text.error().code == Code::not_found) return results;
  auto changed = text ? wire::decode_places(*text) : std::unexpected(text.error());
  if (!changed)
    return fail(changed.error().code,
                "reading which repositories the session changed from " + path + ": " + changed.error().what,
                "the results are in " + results.directory + ", and `git for-each-ref refs/bottle/" + session +
                    "` lists the refs of a repository");
  for (const auto& place : changed->places) {
    results.places.push_back(place.directory);
    if (!place.patch.empty()) results.patches.push_back({place.directory, place.patch});
    if (!place.filtered.empty()) results.copies.push_back(workspace::copy_command(place.filtered, place.directory));
  }
  return results;
}

Result<Results> changes_of(const std::string& session) {
  Results results = TRY(results_of(session));
  if (results.patches.empty() && results.copies.empty() && !results.places.empty())
    return fail(Code::not_found, "session " + session + " has no patch; what it left is on refs",
                "`git -C " + shell_word(results.places[0]) + " for-each-ref refs/bottle/" + session + "` lists them");
  if (results.patches.empty() && results.copies.empty())
    return fail(Code::not_found, "session " + session + " changed no files that a patch could hold",
                "`bottle logs " + session + "` shows what came back");
  return results;
}

void tell_copies(const Results& results) {
  if (results.copies.empty()) return;
  say("Files that a filter of git converts are in no patch. To take them, copy them:");
  for (const auto& command : results.copies) say("  " + command);
}

}  // namespace bottle::app
