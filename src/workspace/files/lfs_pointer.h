// Reads and makes the pointers of git-lfs, which git commits in the place of large files.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::workspace {

constexpr size_t kLongestPointer = 1024;  // in bytes; git-lfs does not read longer ones either

// Returns whether the content is a pointer.
bool is_lfs_pointer(std::string_view content);

// Reads a file to its end, and returns the pointer that `git lfs clean` makes of it. Returns nothing for content that
// git-lfs leaves as it is: pointers and empty files. `path` is for messages. Blocks.
Result<std::optional<std::string>> lfs_pointer_of(int fd, const std::string& path);

}  // namespace bottle::workspace
