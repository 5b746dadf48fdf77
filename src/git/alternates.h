// Where a repository's objects are, as data: git itself will read them from there.
#pragma once

#include <string>
#include <vector>

#include "base/beneath.h"
#include "base/error.h"

namespace bottle::git {

// `common`/objects and, behind it, every directory that it borrows from (objects/info/alternates), and those from, five
// deep as in git; 64 at most. One that is not there is left out, as git does. Code::denied: one is laid out with links
// or FIFOs, or belongs to neither this user nor root and is not declared safe.
Result<std::vector<std::string>> object_directories(const Beneath& common);

}  // namespace bottle::git
