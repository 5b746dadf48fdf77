// Finds repositories that lie in a tree without being part of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace bottle::workspace {

// Returns the directories below `top` that have a .git, in order: at most three levels deep, and a few thousand
// directories at most. Leaves out repositories within those, and directories that usually hold installed code.
std::vector<std::string> repositories_below(const std::string& top);

// Returns the wanted regular files below `top`, in order. Skips everything in a .git, and looks at 200,000 entries at
// most.
std::vector<std::string> files_below(const std::string& top, const std::function<bool(const std::string&)>& is_wanted);

}  // namespace bottle::workspace
