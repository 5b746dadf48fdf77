// Checks who owns a repository: like git, bottle refuses one that belongs to another user.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::git {

// Works like git's ensure_valid_ownership(): each of `paths` must belong to this user (for root, or to SUDO_UID), or
// the operator must have declared `repository`, the absolute path of the work tree, safe. git reads safe.directory from
// the global or the system configuration, as the installed version documents it. Fails with Code::denied and says who
// the owner is and how to allow the repository. Runs git only if a path belongs to another user.
Result<> check_owner(const std::string& repository, const std::vector<std::string>& paths);

// Checks an object directory. Accepts one that root owns too, because an object is data whose name is the hash of its
// content.
Result<> check_owner_of_objects(const std::string& objects);

}  // namespace bottle::git
