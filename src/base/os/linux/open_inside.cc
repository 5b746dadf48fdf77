// Uses openat2(2), with which the kernel itself refuses a path that leaves the directory, even if a link is replaced
// while the path is resolved.
#include "base/files/open_inside.h"

#include <linux/openat2.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace bottle {

int open_inside(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags);
  // Magic links, such as /proc/PID/fd/N, lead to open files and would leave the directory without a path that shows
  // it.
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // The kernel gives up on ".." if something was renamed or mounted anywhere in the meantime.
  constexpr int kMostTries = 1000;
  for (int tries = 1;; ++tries) {
    // The C library has no function for this system call.
    auto fd = static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
    if (fd >= 0 || errno != EAGAIN || tries == kMostTries) return fd;
    ::sched_yield();
  }
}

}  // namespace bottle
