// Whether a path still leads to where it led when the operator agreed to it.
#pragma once

#include <string>

#include "base/error.h"

namespace bottle::workspace {

// `path`: absolute and without links when the plan was made. Code::denied where a link is on the way now: an agent that
// can write to a directory above (`workspace: bind`) has put it there, and it can lead to any file of the operator's.
// Code::not_found where there is nothing any more.
Result<> check_place(const std::string& path);

}  // namespace bottle::workspace
