// This file compiles rules into the database that Matcher loads. It is separate because only this code needs
// vectorscan's compiler.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "scan/credential/rule.h"

namespace bottle::scan {

// Compiles for any processor of this architecture. Fails with Code::invalid if a pattern is invalid or too large, and
// says which and why.
Result<std::string> compile(const std::vector<Rule>& rules);

}  // namespace bottle::scan
