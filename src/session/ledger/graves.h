// Keeps graves: ledgers of sessions that are over, or of one command, by which a later sweep finds things that may
// still appear on the engine.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/directories.h"
#include "session/ledger/ledger.h"

namespace bottle::session {

// Returns the directory of the graves, which is beside the sessions.
std::string graves_in(const Directories& directories);

// Returns the session of a grave. A grave has the name of its session. Further graves of a session, whose name may be
// used again before the first grave is gone, have a suffix.
std::string session_of_grave(const std::string& grave);
// Returns the names of all graves of a session. Fails if the directory of the graves cannot be read.
Result<std::vector<std::string>> graves_of(const Directories& directories, const std::string& session);

// Records in a grave what this process is about to make and will remove within one command. Blocks until the record
// would survive a power failure. `engine_id` is what the engine at the socket `engine` calls itself, so that no later
// sweep takes the word of another one; it may be empty. remove_grave() removes the record, once nothing is left.
Result<> write_grave(const Directories& directories, const std::string& session, const std::string& engine,
                     const std::string& engine_id, const std::vector<Thing>& things);
// keep_grave() keeps it because something may still appear; the age of the grave then counts from now.
void keep_grave(const Directories& directories, const std::string& session);
void remove_grave(const Directories& directories, const std::string& session);

// Returns whether the engine may still carry out a request to make something that failed with `error`, because it did
// not answer. The thing may then appear after it was looked for and not found, so its record must stay.
bool may_still_be_done(const Error& error);

// Moves the directory of a session, in which only the ledger is left, to the graves. The age of the grave counts from
// now. A session may have several graves.
Result<> bury(const Directories& directories, const std::string& session, const std::string& directory);

}  // namespace bottle::session
