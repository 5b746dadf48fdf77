// Checks whether the operator owns the directories and files that decide what this program does.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/directories.h"

namespace bottle::app {

// Configuration, state and cache decide which commands run and what is removed. Fails with Code::denied if another
// user owns the manifest, one of these directories or a directory on the way to them, or if everyone can write to it.
// Without this check, root with another user's HOME would run what that user has written there. A place that does not
// exist yet is judged by its nearest existing parent directory. `docker` is DOCKER_CONFIG, or empty for ~/.docker: it
// decides which engine is used, and the docker command runs programs that it names.
Result<> check_own_directories(const Directories& directories, const std::string& docker = {});

// Removes XDG_RUNTIME_DIR and TMPDIR from the environment unless they name existing directories of this user (or, for
// TMPDIR, of root) that others cannot replace. The usual directories are used then. After `su` or with `sudo -E`, root
// would otherwise use another user's engine, and would write where that user can replace files. Call it before there
// are other threads.
void forget_foreign_directories();

// Returns the files and directories that decide what bottle does: policy, agents, providers, state, cache, this
// program, docker's configuration, what XDG_RUNTIME_DIR (for ssh's sockets) names among `variables`, and the links in
// each directory of PATH. Also returns the links that lead to them. All paths are absolute, and no
// directory in them is a link. An agent that can write to one of them, or to anything in them, can run commands as the
// operator. Fails if one of the directories cannot be read.
Result<std::vector<std::string>> trusted_places(const Directories& own,
                                                const std::map<std::string, std::string>& variables);

// Returns whether an absolute path leads to this directory or into it, or a link on the way there is in it. `directory`
// is absolute and without links.
bool leads_into(const std::string& path, const std::string& directory);

// Checks one file or directory, and all directories above it, in the same way.
Result<> check_own_path(const std::string& path);
// Also checks the directories and regular files in the directory, but not links, sockets and the like, because no agent
// gets those. Fails if it cannot be read.
Result<> check_own_tree(const std::string& path);

}  // namespace bottle::app
