#include "base/lock/file_lock.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace bottle {

Result<FileLock> FileLock::try_take(const std::string& path, Opening opening) {
  for (;;) {
    UniqueFd fd(::open(path.c_str(), opening.flags | O_NOFOLLOW | O_CLOEXEC, opening.mode));
    if (!fd) return fail_errno("opening " + path);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return fail(Code::conflict, path + " is locked by another process");
      return fail_errno("locking " + path);
    }
    // The process that had the lock may have removed or replaced the file.
    struct stat mine{}, there{};
    if (::fstat(fd.get(), &mine) != 0) return fail_errno("looking at " + path);
    bool has_name = ::lstat(path.c_str(), &there) == 0;
    if (!has_name && errno != ENOENT && errno != ENOTDIR) return fail_errno("looking at " + path);
    if (has_name && mine.st_ino == there.st_ino && mine.st_dev == there.st_dev) return FileLock(std::move(fd));
  }
}

Result<FileLock> FileLock::take(const std::string& path, Opening opening, Deadline deadline,
                                const std::function<Result<>()>& waits) {
  for (;;) {
    auto lock = try_take(path, opening);
    if (lock || lock.error().code != Code::conflict) return lock;
    if (deadline.is_over()) return fail(Code::timed_out, lock.error().what);
    if (waits) TRY(waits());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

bool FileLock::is_taken(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // A shared lock proves that no process has an exclusive one. It ends with the descriptor.
  return fd && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace bottle
