// What ended sessions have left for the operator.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "workspace/take.h"

namespace bottle::app {

struct Results {
  std::string session, directory;
  std::vector<std::string> places;        // directories whose repositories may hold refs of the session
  std::vector<workspace::Patch> patches;  // those that there are
};

// Of one ended session. Code::conflict: it still runs. Code::not_found: nothing of it is here.
Result<Results> results_of(const std::string& session);

}  // namespace bottle::app
