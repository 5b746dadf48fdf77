// Finds out whether the engine still works on a request whose client is gone.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "base/error.h"

namespace bottle::docker {

// Returns the inode of the engine's end of a connection, or 0 if the kernel does not tell. Blocks until the engine has
// accepted the connection, and fails if it does not do so in time or if `stop` is requested.
// Source: sock_diag(7); UNIX_DIAG_PEER, UNIX_DIAG_VFS and UNIX_DIAG_SHUTDOWN of <linux/unix_diag.h>.
Result<uint64_t> other_end(int fd, int timeout_ms, const std::stop_token& stop = {});

// Returns whether that end, at the listening socket `path`, is open although its client is gone, which means that the
// engine still works on the request or has not read it yet. Once the answer is "no", the request has either been
// carried out or never will be.
bool is_abandoned(uint64_t end, const std::string& path);

}  // namespace bottle::docker
