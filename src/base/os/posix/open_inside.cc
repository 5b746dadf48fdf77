// POSIX has no openat2(2). The caller then opens each part of a path by itself, without following links.
#include "base/files/open_inside.h"

#include <cerrno>

namespace bottle {

int open_inside(int, const std::string&, int) {
  errno = ENOSYS;
  return -1;
}

}  // namespace bottle
