// The values behind a plan's names: read from the operator's environment, files, commands or a question, at launch.
// They travel over sockets into the guard's memory or the gate, and nowhere else.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/error.h"
#include "plan/plan.h"
#include "wire/job.h"

namespace bottle::session {

// Asks the operator a question on the terminal without echo; Code::unavailable where there is none.
using Ask = std::function<Result<std::string>(const std::string& question)>;

// Blocks while commands run (30 s each at most). Error: which name could not be had, and where it should come from.
Result<Values> resolve(const plan::Plan& plan, const std::map<std::string, std::string>& environment, const Ask& ask);

}  // namespace bottle::session
