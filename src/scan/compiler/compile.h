// Compiles rules into the database that Matcher loads. It is separate because only this code needs
// vectorscan's compiler.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "scan/credential/rule.h"

namespace bottle::scan {

// Compiles the rules for any processor of this architecture. Returns an empty string if no rule has a pattern. Fails
// with Code::invalid if a pattern is invalid or too large, and with Code::limit if there is not enough memory; the
// error gives the line and the reason. Some patterns take very long, so untrusted rules should be compiled in a
// process that can be killed. With `progress`, first compiles each rule alone, and before each calls `progress` with
// its line and id, so that a rule that takes too long can be named.
//
// Patterns are split (split.h) unless `whole` says otherwise. The matches are the same; tests compare them.
enum class Whole : bool { no, yes };
Result<std::string> compile(const std::vector<Rule>& rules, const Progress& progress = {}, Whole whole = Whole::no);

}  // namespace bottle::scan
