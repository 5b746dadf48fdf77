// Small files, whole: read, write atomically. Blocking.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle {

// Reads the whole file; `limit` bytes at most (Code::limit beyond it).
Result<std::string> read_file(const std::string& path, size_t limit = 64u << 20);

// The same of an open one; `path` is for the error.
Result<std::string> read_all(int fd, const std::string& path, size_t limit = 64u << 20);

// Writes to a temporary file in the same directory, then renames: a reader sees the old or the new, never half.
Result<> write_file_atomically(const std::string& path, std::string_view bytes, int mode = 0600);

// Writes everything to a descriptor, or says why not. Retries EINTR; blocks on a blocking descriptor.
Result<> write_all(int fd, std::string_view bytes);

// mkdir -p with a mode for what is created.
Result<> make_directories(const std::string& path, int mode = 0700);

}  // namespace bottle
