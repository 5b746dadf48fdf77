// Finds out how much room a disk has, and whether a full disk caused an error.
#pragma once

#include <sys/statvfs.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/text/path_parts.h"

namespace bottle {

// Returns the free bytes of the file system that holds `path`, or would hold it if it existed. Returns nothing if their
// number is unknown.
inline std::optional<uint64_t> free_bytes(std::string path) {
  struct statvfs disk{};
  while (::statvfs(path.c_str(), &disk) != 0) {
    if (path.empty() || path == "/") return std::nullopt;
    path = parent_of(path);
  }
  return static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
}

// Returns whether the cause of the error is a full disk or quota. If so, the same call works once the operator has
// freed space. Such an error has Code::limit and ends with the system's words, as those of fail_errno() do.
inline bool is_full_disk(const Error& error) {
  return error.code == Code::limit && (error.what.ends_with(std::generic_category().message(ENOSPC)) ||
                                       error.what.ends_with(std::generic_category().message(EDQUOT)));
}

// Fails as the call did if the cause was a full disk. Callers use it if they need no result after other errors.
template <typename T>
Result<> check_room(const Result<T>& done) {
  if (!done && is_full_disk(done.error())) return std::unexpected(done.error());
  return {};
}

}  // namespace bottle
