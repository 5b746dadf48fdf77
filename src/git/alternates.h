// Finds where the objects of a repository are stored. The directories are treated as data, because git itself will read
// objects from them.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/beneath.h"

namespace bottle::git {

// Returns `common`/objects and the directories that it borrows objects from (objects/info/alternates), directly or
// indirectly: six levels deep, as in git, and at most 64 directories. Leaves out a directory that does not exist, as
// git does. Fails with Code::denied if one of them contains links or FIFOs, or belongs to neither this user nor root
// and is not declared safe.
Result<std::vector<std::string>> object_directories(const Beneath& common);

}  // namespace bottle::git
