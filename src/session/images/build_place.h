// Manages the directory on this machine's disk in which an image is built.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/lock/file_lock.h"

namespace bottle::session {

// Locks the directory of a build for one process.
struct PlaceLock {
  std::optional<FileLock> directory;  // empty on NFS
  std::optional<FileLock> file;       // empty if there is no lock file, and none was to be made
};

// Owns the directory of one build, and a lock on it. The destructor removes the directory and everything in it. If the
// process is killed, the kernel releases the lock, and abandoned_builds() finds the directory.
class BuildPlace {
 public:
  // Makes the directory in $TMPDIR, or in /var/tmp. Others can neither list nor read it, but can pass through it.
  static Result<BuildPlace> make();
  BuildPlace(BuildPlace&&) = default;
  ~BuildPlace();

  const std::string& path() const { return path_; }

 private:
  BuildPlace(std::string path, PlaceLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  PlaceLock lock_;
};

// Returns the directories of this user's builds that have ended without removing them.
std::vector<std::string> abandoned_builds();
// Removes one of them. Does nothing and succeeds if another process removes it or works in it. Fails if something of it
// remains.
Result<> remove_abandoned_build(const std::string& path);

}  // namespace bottle::session
