// Request paths and the globs of rules. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::policy {

// The path of a request target ("/a/b?c" → "/a/b"), percent-decoded and with dot segments resolved.
// Code::denied for what two servers could read in two ways: encoded or empty separators, backslashes, double encoding,
// control bytes, "..;", climbing above the root.
Result<std::string> normalise_path(std::string_view target);

// '*' matches within a segment, '**' across slashes. Time is bounded by pattern × path.
bool glob_matches(std::string_view pattern, std::string_view path);

}  // namespace bottle::policy
