// Reads and writes the refs of the operator's repository without git, because git's programs would run the repository's
// hooks. Follows gitrepository-layout(5); the locking is that of git's refs/files-backend.c and lockfile.h.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "git/formats/formats.h"
#include "git/repository.h"

namespace bottle::git {

inline constexpr size_t kLargestPackedRefs = 256 << 20;  // bytes of the file packed-refs; a larger one is an error

// Says what HEAD refers to. A repository without commits has a branch and no commit.
struct Head {
  std::string branch;  // refs/heads/…; empty if HEAD is detached
  std::string commit;  // empty if there is none yet
};

// Returns what the work tree has checked out. Fails with Code::protocol if HEAD is broken.
Result<Head> read_head(const Repository& repository);

// Returns the refs whose names begin with `below`, which ends with a slash. Leaves out refs that are broken or have no
// valid name, as git does, and refs of other work trees. Fails with Code::denied if there are symbolic links among
// them.
Result<Refs> read_refs(const Repository& repository, const std::string& below);

// Sets a ref below refs/bottle/, whatever its value was. Fails with Code::conflict if another process has locked it, or
// if its name conflicts with that of another ref.
Result<> write_ref(const Repository& repository, const std::string& name, const std::string& id);

// Removes refs below refs/bottle/ and their logs. A ref that does not exist is not an error.
Result<> delete_refs(const Repository& repository, const std::vector<std::string>& names);

}  // namespace bottle::git
