// Finds what ended sessions have left for the operator.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "workspace/receiving/take.h"

namespace bottle::app {

// Describes what one ended session left. The paths are those that the session's own supervisor wrote down.
struct Results {
  std::string session, directory;
  std::vector<std::string> places;        // directories whose repositories may have refs of the session
  std::vector<workspace::Patch> patches;  // the existing patches
  std::vector<std::string> copies;        // commands that copy the files that are in no patch
};

// Describes an ended session for a list.
struct EndedSession {
  std::string session;
  int64_t ended = 0;                         // when its results were last changed, in seconds since 1970
  std::string bottle, machine, workspace{};  // empty if not known; a session may have more than one workspace
  std::optional<int> exit{};                 // the agent's exit status, if there is a result that can be read
};
// Returns the ended sessions that have results, with the newest first. Leaves out what cannot be read of a session.
// Fails if the directory of the results cannot be read.
Result<std::vector<EndedSession>> ended_sessions();

// Returns the ended session that a command about results means. If `wanted` is empty, returns the only one that changed
// something in the current directory, below it, or in a directory above it, and tells the operator its name. A session
// whose places cannot be read counts as one of them. Fails with Code::not_found if there is none, and with
// Code::invalid and their names if there are several.
Result<std::string> ended_session(const std::string& wanted);

// Returns the results of one ended session. Fails with Code::conflict if it still runs, and with Code::not_found if
// this machine has no results of it.
Result<Results> results_of(const std::string& session);
// Does the same, but fails with Code::not_found if the session left no patch and no files to copy.
Result<Results> changes_of(const std::string& session);
// Tells the operator the commands in `copies`, if there are any.
void tell_copies(const Results& results);

}  // namespace bottle::app
