// POSIX has no splice(2). The guard then copies the bytes of a tunnel through its memory.
#include "base/os/splice.h"

#include <cerrno>

namespace bottle {

Result<PipeEnds> make_splice_pipe() { return fail(Code::unavailable, "this system cannot splice"); }

ssize_t splice_bytes(int, int, size_t) {
  errno = ENOSYS;
  return -1;
}

size_t kernel_buffers(int) { return 0; }

}  // namespace bottle
