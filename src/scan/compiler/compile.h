// This file compiles rules into the database that Matcher loads. It is separate because only this code needs
// vectorscan's compiler.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "scan/credential/rule.h"

namespace bottle::scan {

// Compiles for any processor of this architecture. Returns an empty text if no rule has a pattern. Fails with
// Code::invalid if a pattern is invalid or too large, and says in which line and why. Some patterns take very long: for
// rules of a stranger, call it in a process that can be ended.
Result<std::string> compile(const std::vector<Rule>& rules);

}  // namespace bottle::scan
