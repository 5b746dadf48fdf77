#include "base/os/splice.h"

#include <cerrno>

namespace bottle {

Result<PipeEnds> make_splice_pipe() { return fail(Code::unavailable, "this system cannot splice"); }

ssize_t splice_bytes(int, int, size_t) {
  errno = ENOSYS;
  return -1;
}

}  // namespace bottle
