// Whose a repository is: git refuses one that belongs to somebody else, and so do we.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::git {

// As git's ensure_valid_ownership(): each of `paths` belongs to this user (root: or to SUDO_UID), or the operator has
// declared `repository`, the work tree's absolute path, safe (safe.directory in his global or the system's
// configuration, read by git, as the installed version documents it). Code::denied says whose it is and how to allow
// it. Runs git only where something belongs to somebody else.
Result<> check_owner(const std::string& repository, const std::vector<std::string>& paths);

// Objects alone, which are data under names that tell their content: root's are taken too.
Result<> check_owner_of_objects(const std::string& objects);

}  // namespace bottle::git
