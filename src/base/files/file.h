// Reads and writes files: whole ones that are small, and others in pieces. All functions block.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/stream.h"

namespace bottle {

// Reads the whole file. Fails with Code::limit if it has more than `limit` bytes.
Result<std::string> read_file(const std::string& path, size_t limit = 64u << 20);

// Reads an open file in the same way. `path` is used in errors.
Result<std::string> read_all(int fd, const std::string& path, size_t limit = 64u << 20);

// Reads some bytes into `to`, which is not empty, and returns their number; 0 at the end. Retries after EINTR. Blocks
// if the descriptor does. `doing` is used in errors.
Result<size_t> read_some(int fd, std::span<char> to, std::string_view doing);

// Returns a source that reads a descriptor, which must stay open. `doing` is used in errors.
Source source_of(int fd, std::string doing);

// Writes to a temporary file in the same directory and renames it, so that a reader sees the old or the new content.
// The file gets exactly this mode, whatever the umask is. If `group` is given, the file gets that group, or no
// permissions for its group if this user may not do that.
Result<> write_file_atomically(const std::string& path, std::string_view bytes, int mode = 0600,
                               std::optional<gid_t> group = std::nullopt);

// Writes a file that must not exist yet. Does not flush it to the disk: use it for files that need not survive a
// crash of the machine and that are not read before they are complete. Fails if something has the name, even a link.
Result<> write_new_file(const std::string& path, std::string_view bytes, int mode = 0600);

// Writes everything to a descriptor or fails. Retries after EINTR. Blocks if the descriptor does.
Result<> write_all(int fd, std::string_view bytes);

// Does what `mkdir -p` does. Directories that it creates get `mode`.
Result<> make_directories(const std::string& path, int mode = 0700);

}  // namespace bottle
