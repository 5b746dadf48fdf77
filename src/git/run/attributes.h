// Reads attributes of files (gitattributes(5)), and overrides those that make git convert files.
#pragma once

#include <string>
#include <vector>

#include "git/run/git.h"

namespace bottle::git {

// The last line of `info/attributes` in a directory of bottle's. It overrides the rules of the tree: git then runs no
// filter and no driver, and does not pass the content of files to iconv(3), whose modules must not read what a stranger
// or an agent wrote. git still converts line ends and keywords.
constexpr const char* kNoConversions = "* -filter !working-tree-encoding !diff !merge\n";

// Names one attribute of one file. The path and the value are untrusted.
struct Attribute {
  std::string path, name, value;
};

// Returns those of the named attributes that have a value, such as an encoding or the name of a filter, for the files
// of `where.input`. (Their paths end with a NUL each.) Reads the rules in `where.work_tree` and in the git directory.
Result<std::vector<Attribute>> attributes(const Runner& git, const std::vector<std::string>& names,
                                          const Runner::Options& where);

}  // namespace bottle::git
