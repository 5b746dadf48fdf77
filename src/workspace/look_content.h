// What of a package's description runs by itself. Pure; the text is a stranger's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "workspace/look_rules.h"

namespace bottle::workspace {

// Reasons to look at `text`, a file of this kind, that were not there in `before` already, what it was (may be empty).
// What cannot be read is a reason of its own.
std::vector<std::string> reasons_in(Content kind, std::string_view text, std::string_view before);

}  // namespace bottle::workspace
