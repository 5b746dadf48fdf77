// Finds repositories that are in a tree without being part of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace bottle::workspace {

// Lists what was found in a tree, as paths below its top.
struct Below {
  std::vector<std::string> paths;
  bool is_complete = true;  // false if the tree has more than the limits, or a directory that cannot be read
};

// Finds the directories below `top` that have a .git; the outer ones come first. Leaves out directories that usually
// hold installed code.
Below repositories_below(const std::string& top);

// Returns the regular files below `top` for which `is_wanted` returns true, sorted. Skips everything in a .git, and
// looks at 200,000 entries at most.
Below files_below(const std::string& top, const std::function<bool(const std::string&)>& is_wanted);

}  // namespace bottle::workspace
