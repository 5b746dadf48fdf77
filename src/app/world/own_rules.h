// Reads and compiles the operator's own rules for credentials (`scan.rules` and `bottle scan --rules`).
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "scan/detector.h"
#include "wire/guard/config.h"

namespace bottle::app {

struct OwnRules {
  std::string file, text;
  std::vector<scan::Rule> rules;
};

// Reads at most 16 files of 1 MB each, with at most 1000 rules in total. Fails with Code::denied as
// check_own_place() does, because the rules decide what may leave. Fails with Code::invalid if a rule has a mistake,
// or if two rules have the same id. The error begins with the file and the line.
Result<std::vector<OwnRules>> read_own_rules(const std::vector<std::string>& files);

// Returns the built-in rules together with those of the files. Blocks until the patterns are compiled, for at most 10
// s, and fails with Code::timed_out after that. Also fails if a rule does not find its examples.
Result<scan::Catalog> catalog_with(const std::vector<std::string>& files);
// Does the same, but returns what a guard needs. Does nothing if there are no files.
Result<wire::GuardOwnRules> guard_rules(const std::vector<std::string>& files);

// Compiles the rules on stdin and writes the database to stdout, or what is wrong with a pattern to stderr. Returns the
// exit status. `bottle compile-rules` calls this.
int compile_rules();

}  // namespace bottle::app
