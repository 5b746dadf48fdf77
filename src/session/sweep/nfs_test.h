// Makes unlink(2) and rmdir(2) of a test's program behave as on NFS: a file that is removed while this process has it
// open stays in its directory under another name until it is closed. Include this in one file of the program.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace bottle::session {

inline bool g_is_nfs = false;

// Returns whether this process has the file open.
inline bool is_open(const std::string& path) {
  struct stat file{}, other{};
  if (::lstat(path.c_str(), &file) != 0) return false;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    if (::stat(entry.path().c_str(), &other) == 0 && other.st_ino == file.st_ino && other.st_dev == file.st_dev)
      return true;
  return false;
}

}  // namespace bottle::session

extern "C" int unlink(const char* path) noexcept {
  std::string hidden = std::string(path).substr(0, std::string(path).rfind('/') + 1) + ".nfs0001";
  if (bottle::session::g_is_nfs && bottle::session::is_open(path))
    return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, hidden.c_str(), 0));
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

extern "C" int rmdir(const char* path) noexcept {
  std::string hidden = std::string(path) + "/.nfs0001";
  if (bottle::session::g_is_nfs && !bottle::session::is_open(hidden))
    ::syscall(SYS_unlinkat, AT_FDCWD, hidden.c_str(), 0);
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
}
