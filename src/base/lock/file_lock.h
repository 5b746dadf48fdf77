// Locks a file against other processes.
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <functional>
#include <string>

#include "base/error.h"
#include "base/os/deadline.h"
#include "base/unique_fd.h"

namespace bottle {

// Holds an exclusive flock(2) on the file or directory that has a name. The kernel releases it with the last
// descriptor, so a dead process has none. A lock on a file that has lost its name is not seen by others, so it does not
// count, and the file that has the name now is locked instead.
class FileLock {
 public:
  // How to open the file. O_CLOEXEC and O_NOFOLLOW are added. NFS gives an exclusive lock only on a file that is open
  // for writing.
  struct Opening {
    int flags = O_RDWR;
    mode_t mode = 0600;  // of a file that is made
  };

  // Fails with Code::conflict if another process has the lock, and as open(2) or flock(2) do: a file system without
  // locks is an error like any other.
  static Result<FileLock> try_take(const std::string& path, Opening opening);
  static Result<FileLock> try_take(const std::string& path) { return try_take(path, Opening()); }
  // Tries again and again, because flock(2) has no time limit. Calls `waits` before each pause; its error ends the
  // wait. Fails with Code::timed_out. Any error but Code::conflict ends the wait, too.
  static Result<FileLock> take(const std::string& path, Opening opening, Deadline deadline,
                               const std::function<Result<>()>& waits = {});
  // Returns whether another process has the lock. There may be no such file. Others cannot take it for a moment.
  static bool is_taken(const std::string& path);

  int fd() const { return fd_.get(); }
  // Keeps the lock, for a child that inherits it.
  UniqueFd release() && { return std::move(fd_); }

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace bottle
