// Reads and compiles the operator's own rules for credentials (`scan.rules` and `bottle scan --rules`).
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "scan/detector.h"
#include "wire/guard/config.h"

namespace bottle::app {

// Holds one file of rules that was read and parsed. `text` is compiled later, together with the texts of the other
// files.
struct OwnRules {
  std::string file, text;
  std::vector<scan::Rule> rules;
};

// Reads at most 16 files of 1 MB each, with at most 1000 rules in total. Fails with Code::denied as
// check_own_path() does, because the rules decide what may leave. Fails with Code::invalid if a rule has a mistake,
// or if two rules have the same id. The error begins with the file and the line.
Result<std::vector<OwnRules>> read_own_rules(const std::vector<std::string>& files);

// Returns the built-in rules together with those of the files. Blocks until another process has compiled the patterns
// and tried the examples. That may take 10 s of the processor's time (Code::timed_out) and 1 GB of memory
// (Code::limit). These errors name the rule that took too long. Also fails with Code::invalid if a pattern is not
// valid, or if a rule does not find its examples.
Result<scan::Catalog> catalog_with(const std::vector<std::string>& files);
// Does the same for files that were read, but returns what a guard needs. Does nothing if there are no files.
Result<wire::GuardOwnRules> guard_rules(const std::vector<OwnRules>& files);

// Compiles the rules on stdin, tries their examples, and writes the database to stdout. Writes one line to stderr for
// each step, and as the last one, if a rule has a mistake, what is wrong. Returns the exit status. `bottle
// compile-rules` calls this.
int compile_rules();

}  // namespace bottle::app
