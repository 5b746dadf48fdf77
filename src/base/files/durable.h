// Writes files so that they survive a power failure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle {

// Flushes a file, or the names in a directory but not the files that they name, to the disk. Blocks.
Result<> flush(const std::string& path);

// Flushes the names in an open directory. Succeeds if its file system cannot do that. `name` is for the error. Blocks.
Result<> flush_directory(int fd, const std::string& name);

// Flushes a directory with everything below it, and the directory that it is in. Does not follow links. Blocks.
Result<> flush_tree(const std::string& path);

// Does what write_file_atomically() does, and returns once the file would survive a power failure under its name.
Result<> write_file_durably(const std::string& path, std::string_view bytes, int mode = 0600);

// Returns the directory that a path with at least two components is in.
inline std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace bottle
