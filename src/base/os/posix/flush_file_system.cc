// POSIX has no syncfs(2), and its sync(2) does not wait. The caller then flushes each file by itself.
#include "base/files/flush_file_system.h"

#include <cerrno>

namespace bottle {

int flush_file_system(int) {
  errno = ENOSYS;
  return -1;
}

}  // namespace bottle
