// Checks that a plan can travel as JSON.
#pragma once

#include "base/error.h"
#include "plan/plan.h"

namespace bottle::plan {

// Fails with Code::invalid, and names the text, if one of the plan's texts is not UTF-8. The manifest is UTF-8, so only
// paths of this machine and words of the command line are checked. Pure.
Result<> check_text(const Plan& plan);

}  // namespace bottle::plan
