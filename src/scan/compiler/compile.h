// This file compiles rules into the database that Matcher loads. It is separate because only this code needs
// vectorscan's compiler.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "scan/credential/rule.h"

namespace bottle::scan {

// Compiles the rules for any processor of this architecture. Returns an empty string if no rule has a pattern. Fails
// with Code::invalid if a pattern is invalid or too large; the error gives the line and the reason. Some patterns take
// very long, so untrusted rules should be compiled in a process that can be killed.
Result<std::string> compile(const std::vector<Rule>& rules);

}  // namespace bottle::scan
