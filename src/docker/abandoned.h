// Whether the engine is still at work for a client that is gone.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace bottle::docker {

// The engine's end of a connection, as the kernel numbers it (an inode). Waits until the engine has accepted the
// connection. 0 where the kernel does not say. Error: it was not accepted in time.
// Source: sock_diag(7); UNIX_DIAG_PEER, UNIX_DIAG_VFS and UNIX_DIAG_SHUTDOWN of <linux/unix_diag.h>.
Result<uint64_t> other_end(int fd, int timeout_ms);

// Whether that end, at the listening socket `path`, is open although its client is gone: the request that was sent is
// still worked on, or not yet read. "No" is final: what was asked for has happened, or never will.
bool is_abandoned(uint64_t end, const std::string& path);

}  // namespace bottle::docker
