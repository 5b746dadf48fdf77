// What the operator does with work that came home, without git's own commands.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::workspace {

struct Patch {
  std::string directory;  // absolute: what it is for
  std::string file;
};

// Applies patches to working trees, all of them or none, as `git apply` does, in a git directory of ours: nothing that
// a repository's settings name is run. `scratch`: a directory of ours, made if need be. Code::conflict: one does not
// fit, with git's words for it. Blocking; runs git.
Result<> apply(const std::vector<Patch>& patches, const std::string& scratch);

// Removes the session's refs from the repository that the directory belongs to; how many there were. No repository: 0.
Result<size_t> drop_refs(const std::string& directory, const std::string& session);

}  // namespace bottle::workspace
