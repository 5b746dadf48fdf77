// Checks whether a path still leads to where it led when the operator agreed to it.
#pragma once

#include <string>

#include "base/error.h"

namespace bottle::workspace {

// `path` was absolute and without links when the plan was made. Fails with Code::denied if a link is on the way now: an
// agent that can write to a directory above it (`workspace: bind`) may have put it there, and it can lead to any file
// of the operator's. Fails with Code::not_found if the path no longer exists.
Result<> check_unmoved(const std::string& path);

}  // namespace bottle::workspace
