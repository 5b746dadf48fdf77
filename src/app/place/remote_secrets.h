// Handles secrets at a start whose agent runs on another machine.
#pragma once

#include <string>

#include "base/error.h"
#include "plan/plan.h"

namespace bottle::app {

// Returns the name of the secret that the agent signs in with. Fails with Code::invalid if the agent has none.
Result<std::string> token_name(const plan::Plan& plan);

// Adds warnings about values that only the broker on this machine has if the secrets stay on it. Only the broker can
// sign in to the parent proxy, and only it looks for the values of scan.secrets.
void warn_of_values_that_stay(plan::Plan& plan);

}  // namespace bottle::app
