// Applies or discards work that came home, without running git in the operator's repository.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::workspace {

// Names a patch in a session's results, and where it applies.
struct Patch {
  std::string directory;  // absolute path of the directory that the patch is for
  std::string file;
};

// Applies patches to working trees, either all of them or none. Works like `git apply`, in a git directory that belongs
// to bottle: commands from the repository's settings do not run. `scratch` is a directory that belongs to bottle; it is
// made if necessary. Fails with Code::conflict and git's message if a patch does not fit, with Code::not_found if a
// directory no longer exists, and with Code::denied if git would convert a file of a patch to another encoding. Runs no
// filter; the error names the command that does, if the patch needs one. Blocks while it runs git.
Result<> apply(const std::vector<Patch>& patches, const std::string& scratch);

// Returns the command that copies the files in the directory `from` over those in the directory `to`. The command
// removes the symbolic links in `to` that are in the way, because `cp` would write to the places that they lead to. It
// asks before it overwrites a file, which the operator may have changed since it was sent. Returns a shell comment for
// the operator instead if the command would name more than 50 files, or if a file and a directory have the same name.
// Reads both directories.
std::string copy_command(const std::string& from, const std::string& to);

// Removes the session's refs from the repository that contains the directory. Returns how many there were, or 0 if
// there is no repository. Fails with Code::not_found if the directory no longer exists.
Result<size_t> drop_refs(const std::string& directory, const std::string& session);

}  // namespace bottle::workspace
