// Compiles rules into the database that Matcher loads. Apart from the rest, because only it needs vectorscan's
// compiler.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "scan/rule.h"

namespace bottle::scan {

// For any processor of this architecture. Code::invalid: a pattern is not valid, or too large; says which and why.
Result<std::string> compile(const std::vector<Rule>& rules);

}  // namespace bottle::scan
