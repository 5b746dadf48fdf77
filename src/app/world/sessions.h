// The sessions on this machine, as their directories tell of them.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "wire/ledger.h"

namespace bottle::app {

// Names of the entries of a directory that do not begin with a dot; sorted; empty where there is no such
// directory.
std::vector<std::string> names_in(const std::string& directory);

// A name that is meant: itself, or the only one when nothing is named.
Result<std::string> running_session(const std::string& wanted);
// The same among those that left results; the newest when nothing is named.
Result<std::string> finished_session(const std::string& wanted);

// The name that an operator gives to a session of `workspace`, if nothing is or was called that: what an earlier one
// left is found by its name.
Result<std::string> new_session(const std::string& name, const std::string& workspace);

// What info.json says of each session, with "session" and "state": starting, running, dead (its owner is gone)
// or held (and its work is not home yet: the next start or cleanup brings it).
std::vector<wire::SessionInfo> sessions();

}  // namespace bottle::app
