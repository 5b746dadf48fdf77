// Reads the values for the names in a plan at launch, from the operator's environment, files, commands or a question.
// They travel only over sockets, into the guard's memory or through the gate.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/plan.h"
#include "wire/start/job.h"

namespace bottle::session {

// Asks the operator a question on the terminal without echo. Fails with Code::unavailable if there is no terminal.
using Ask = std::function<Result<std::string>(const std::string& question)>;

// Decides what follows if something cannot be read. Success leaves it out, and an error ends the reading.
using OnMissing = std::function<Result<>(Error why)>;
inline Result<> fail_if_missing(Error why) { return std::unexpected(std::move(why)); }

// Reads all values. Blocks while commands run, at most 30 s each. An error says which name has no value and where it
// should come from. `on_missing` is asked about each variable and each secret. The files of scan.secrets must all be
// readable.
Result<wire::Values> resolve(const plan::Plan& plan, const std::map<std::string, std::string>& environment,
                             const Ask& ask, const OnMissing& on_missing = fail_if_missing);

// Returns a warning for each file of scan.secrets that has values which look secret and are too short for the guard to
// look for. Names them, and never shows a value. Skips files that cannot be read, which resolve() reports.
std::vector<std::string> warnings_of_short_values(const std::vector<std::string>& files);

}  // namespace bottle::session
