// Finds what ended sessions have left for the operator.
#pragma once

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
  std::vector<std::string> copies;        // commands that copy the files that only git's filters can convert
};

// Returns the results of one ended session. Fails with Code::conflict if it still runs, and with Code::not_found if
// this machine has nothing of it.
Result<Results> results_of(const std::string& session);
// Does the same, but fails with Code::not_found if the session left no patch and no files to copy.
Result<Results> changes_of(const std::string& session);
// Tells the operator the commands in `copies`, if there are any.
void tell_copies(const Results& results);

}  // namespace bottle::app
