// Checks whether the operator owns the directories and files that decide what this program does.
#pragma once

#include "base/error.h"
#include "base/files/directories.h"

namespace bottle::app {

// Configuration, state and cache decide which commands run and what is removed. Fails with Code::denied if another
// user owns the manifest, one of these directories or a directory on the way to them, or if everyone can write to it.
// Without this check, root with another user's HOME would run what that user has written there. A place that does not
// exist yet is judged by its nearest existing parent directory.
Result<> check_own_places(const Directories& directories);

// Checks one file or directory, and all directories above it, in the same way.
Result<> check_own_place(const std::string& path);

}  // namespace bottle::app
