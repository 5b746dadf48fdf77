// Finds what a package's description runs automatically. Pure. The text is untrusted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "workspace/look/look_rules.h"

namespace bottle::workspace {

// Returns the reasons to look at `text`, a file of this kind, that are not already in `before`, its earlier content
// (may be empty). A file that cannot be parsed is a reason by itself.
std::vector<std::string> reasons_in(Content kind, std::string_view text, std::string_view before);

}  // namespace bottle::workspace
