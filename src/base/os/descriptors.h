// Makes descriptors that no program inherits by accident: each has the close-on-exec flag before another thread can
// start a program.
#pragma once

#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle {

// Whether calls on the descriptor wait, or fail with EAGAIN.
enum class Waits { yes, no };

struct PipeEnds {
  UniqueFd read, write;
};
Result<PipeEnds> make_pipe(Waits waits = Waits::yes);

// Lets a pipe hold up to `bytes`, if the system can change that.
void widen_pipe(int fd, int bytes);

// Makes two connected stream sockets of the family AF_UNIX.
struct SocketPair {
  UniqueFd ours, theirs;
};
Result<SocketPair> make_socket_pair(Waits waits = Waits::yes);

// Both return an empty descriptor and set errno, as socket(2) and accept(2) do. accept_connection() blocks if nothing
// is pending and the listener waits; `waits` is for the new connection.
UniqueFd open_socket(int family, int type, Waits waits = Waits::yes);
UniqueFd accept_connection(int listener, Waits waits = Waits::yes);

// Accepts TCP connections of a listener only once the client has sent something, if the system can do that.
void defer_accepting(int listener);

// Makes a file without a name that contains `bytes`, to be read from its start. `name` is for whoever debugs. The bytes
// stay in memory if the system has such files. Otherwise they are in an unlinked file in $TMPDIR.
Result<UniqueFd> make_memory_file(const char* name, std::string_view bytes);

// Blocks until the bytes that were written to a file are on the disk. Returns -1 and sets errno as fsync(2) does.
int flush_data(int fd);

// Passes a descriptor over a Unix socket, or takes one. Neither call blocks.
Result<> pass_descriptor(int socket, int fd);
// Fails with Code::closed if the other side has closed the socket, and with Code::unavailable if nothing is pending.
// Returns an empty descriptor if the other side sent something else.
Result<UniqueFd> take_descriptor(int socket);

// Holds off make_pipe() and the others on systems that cannot set the flag in the same call. The spawner holds it while
// it starts a program.
class SpawnLock {
 public:
  SpawnLock();
  ~SpawnLock();
  SpawnLock(const SpawnLock&) = delete;
  SpawnLock& operator=(const SpawnLock&) = delete;
};

}  // namespace bottle
