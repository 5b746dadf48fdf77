// Finds out how much room a disk has, and singles out the errors of a full one. Says how large files with holes, which
// take no room, may be.
#pragma once

#include <sys/statvfs.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/text/path_parts.h"

namespace bottle {

// The most bytes that all of an agent's files may have together, with their holes. A hole takes no room on a disk, so
// an agent can make files of any size, but engines send the zeros, which takes months for the largest ones.
constexpr uint64_t kMostWithHoles = 1ull << 40;

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

// Fails as the call did if the cause was a full disk (Code::no_space). Callers use it if they need no result after
// other errors.
template <typename T>
Result<> check_room(const Result<T>& done) {
  if (!done && done.error().code == Code::no_space) return std::unexpected(done.error());
  return {};
}

}  // namespace bottle
