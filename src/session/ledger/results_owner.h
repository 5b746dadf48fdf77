// Says whose results are in a directory of results on a machine that serves other machines. Two operators' machines, or
// two state directories, may have sessions of the same name on it, so each session has an id, too. It is in the file
// `id` among the results, as it is in the ledger, because the results outlive the ledger.
#pragma once

#include <string>

#include "base/error.h"

namespace bottle::session {

// Fails with Code::conflict if the directory has results, which belong to another session of the same name.
Result<> check_unused(const std::string& results);
// Notes the id of the session whose results will be in the directory, which must exist. Returns once the note would
// survive a power failure. An empty id is not noted.
Result<> claim_results(const std::string& results, const std::string& id);
// Returns whether the directory exists and has the results of the session with this id. Results without an id come from
// an earlier version and belong to the session with an empty one. Fails if that cannot be known.
Result<bool> are_results_of(const std::string& results, const std::string& id);
// Removes the directory if it has nothing except an id.
void remove_unused_results(const std::string& results);
// Removes the directory with everything in it, the id last, so that the same session can try again after a failure.
Result<> remove_results(const std::string& results);

}  // namespace bottle::session
