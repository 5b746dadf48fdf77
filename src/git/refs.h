// The refs of the operator's repository, read and written by us: git's own programs would run its hooks.
// (gitrepository-layout(5); the locking is that of git's refs/files-backend.c and lockfile.h.)
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "git/formats.h"
#include "git/repository.h"

namespace bottle::git {

struct Head {
  std::string branch;  // refs/heads/…; empty: it is detached
  std::string commit;  // empty: there is none yet
};

// Where the work tree stands. Code::protocol: it is broken.
Result<Head> read_head(const Repository& repository);

// The refs whose names begin with `below`, which ends with a slash. Refs that are broken or have no valid name are left
// out, as in git; those of other work trees too. Code::denied: there are links among them.
Result<Refs> read_refs(const Repository& repository, const std::string& below);

// Sets a ref below refs/bottle/, whatever it was. Code::conflict: somebody has it locked, or another ref's name is in
// its way.
Result<> write_ref(const Repository& repository, const std::string& name, const std::string& id);

// Removes refs below refs/bottle/, with their logs; one that is not there is no error.
Result<> delete_refs(const Repository& repository, const std::vector<std::string>& names);

}  // namespace bottle::git
