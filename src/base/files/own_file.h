// Reads files that decide what this program does later, such as records of what to remove. Reads them only if no other
// user can have written them, because a name alone does not prove who wrote a file.
#pragma once

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle {

// Opens a directory that this user owns and that others cannot write to. Fails with Code::not_found, with Code::denied
// if it is a symbolic link, belongs to another user or is writable for others, and with Code::invalid if it is not a
// directory.
Result<UniqueFd> open_own_directory(const std::string& path);

// Does the same, but `path` may contain symbolic links, because operators use links to keep their state in other
// places.
Result<> check_own_directory(const std::string& path);

// Reads the regular file `name` in an open directory by the same rules. The file must not have a second hard link. If
// another process replaces the file during the call, reads either the old or the new one. Never blocks on a FIFO or a
// device. Fails with Code::limit if the file has more than `limit` bytes. `directory` is the path of the directory, for
// errors.
Result<std::string> read_own_file(const UniqueFd& open_directory, const std::string& directory, const std::string& name,
                                  size_t limit);

}  // namespace bottle
