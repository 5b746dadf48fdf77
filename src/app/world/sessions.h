// Lists the sessions on this machine from their directories.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "wire/ledger.h"

namespace bottle::app {

// Fails with Code::invalid if no session can have this name.
Result<> check_session_name(const std::string& name);

// Returns the sorted names of a directory's entries that do not begin with a dot. Returns nothing if there is no such
// directory.
std::vector<std::string> names_in(const std::string& directory);

// Returns the running session with that name, or the only one if the name is empty.
Result<std::string> running_session(const std::string& wanted);
// Does the same for sessions that left results. Returns the newest if the name is empty.
Result<std::string> finished_session(const std::string& wanted);

// Returns the name for a new session of `workspace`. The name must be unused, now and in the past, because what an
// earlier session left is found by its name.
Result<std::string> new_session(const std::string& name, const std::string& workspace);

// Returns info.json of each session, with "session" and "state": starting, running, dead (its owner is gone) or held
// (its owner is gone, and its work is not home yet; the next start or cleanup brings it).
std::vector<wire::SessionInfo> sessions();

}  // namespace bottle::app
