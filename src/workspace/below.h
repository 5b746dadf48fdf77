// Repositories that lie in a tree without being part of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace bottle::workspace {

// The directories below `top` that have a .git, three levels deep and some thousand directories at most, in order.
// What lies in one of them is left out, and so is what is commonly installed and not written.
std::vector<std::string> repositories_below(const std::string& top);

// Regular files below `top` that are wanted, in order. Nothing in a .git; 200,000 entries are looked at, at most.
std::vector<std::string> files_below(const std::string& top, const std::function<bool(const std::string&)>& is_wanted);

}  // namespace bottle::workspace
