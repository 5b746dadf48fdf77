// Moves bytes between sockets without copying them into this process, if the system can do that.
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "base/os/descriptors.h"

namespace bottle {

// Makes a pipe that splice_bytes() can fill and empty. Fails with Code::unavailable if the system cannot splice; the
// caller must then copy the bytes.
Result<PipeEnds> make_splice_pipe();

// Moves at most `most` bytes. One of the descriptors must be an end of a pipe from make_splice_pipe(). Never blocks.
// Returns the number of bytes, 0 at the end, or -1 with errno.
ssize_t splice_bytes(int from, int to, size_t most);

// Returns how many bytes the kernel holds in the buffers of the socket, in both directions and with its overhead, or 0
// if the system cannot say.
size_t kernel_buffers(int socket);

}  // namespace bottle
