// Directories and files that decide what this program does later, such as records of what to remove: they are read only
// where nobody but this user can have written them. A name that somebody else says is no proof of that.
#pragma once

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle {

// Opens a directory that this user owns and others cannot write to. Code::not_found; Code::denied where it is a
// symbolic link, another's or open to others; Code::invalid where it is no directory.
Result<UniqueFd> open_own_directory(const std::string& path);

// The same, but `path` may lead there by symbolic links, which an operator may have made to have their state elsewhere.
Result<> check_own_directory(const std::string& path);

// Reads the regular file `name` in an open directory, held to the same rules; it may have no second name. Never blocks
// on a FIFO or a device. Code::limit beyond `limit` bytes. `directory`: its path, for the errors.
Result<std::string> read_own_file(const UniqueFd& open_directory, const std::string& directory, const std::string& name,
                                  size_t limit);

}  // namespace bottle
