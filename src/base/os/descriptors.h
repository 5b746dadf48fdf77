// Makes descriptors that no program inherits by accident: each has the close-on-exec flag before another thread can
// start a program.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle {

// Says whether calls on the descriptor block or fail with EAGAIN.
enum class Waits { yes, no };

// Holds the two ends of a pipe. Both are empty if the pipe could not be made.
struct PipeEnds {
  UniqueFd read, write;
};
// Makes a pipe. `waits` applies to both of its ends.
Result<PipeEnds> make_pipe(Waits waits = Waits::yes);

// Changes the capacity of a pipe to `bytes`, if the system can do that.
void widen_pipe(int fd, int bytes);

// Holds two connected stream sockets of the family AF_UNIX. `theirs` is for another process.
struct SocketPair {
  UniqueFd ours, theirs;
};
// Makes the pair. `waits` applies to both ends, so a program that gets `theirs` must be able to handle EAGAIN with
// Waits::no.
Result<SocketPair> make_socket_pair(Waits waits = Waits::yes);

// Both return an empty descriptor and set errno, as socket(2) and accept(2) do. accept_connection() blocks if no
// connection is pending and the listener is blocking; `waits` applies to the new connection.
UniqueFd open_socket(int family, int type, Waits waits = Waits::yes);
UniqueFd accept_connection(int listener, Waits waits = Waits::yes);

// Returns a socket that listens at the path of a Unix socket, which must not exist. Only this user can connect.
// `backlog` is the number of connections that may wait to be accepted.
Result<UniqueFd> listen_at(const std::string& path, int backlog);

// Makes a listener accept a TCP connection only after the client has sent data, if the system can do that.
void defer_accepting(int listener);

// Makes the system probe a silent peer every minute, which also keeps middleboxes from forgetting the
// connection. A peer that acknowledges nothing for two minutes counts as gone, if the system can do
// that.
void keep_alive(int connection);

// Creates an unnamed file that contains `bytes`, positioned at its start. `name` only helps with debugging. The bytes
// stay in memory if the system has such files. Otherwise, they are in an unlinked file in $TMPDIR.
Result<UniqueFd> make_memory_file(const char* name, std::string_view bytes);

// Blocks until the data written to a file is on the disk. Returns -1 and sets errno as fsync(2) does.
int flush_data(int fd);

// Sends a descriptor over a Unix socket. Does not block.
Result<> pass_descriptor(int socket, int fd);
// Receives a descriptor from a Unix socket. Does not block. Fails with Code::closed if the other side has closed the
// socket, and with Code::unavailable if nothing is pending. Returns an empty descriptor if the other side sent
// something else.
Result<UniqueFd> take_descriptor(int socket);

// Keeps other threads from creating descriptors, on systems that cannot set the close-on-exec flag in the same call.
// The spawner holds it while it starts a program.
class SpawnLock {
 public:
  SpawnLock();
  ~SpawnLock();
  SpawnLock(const SpawnLock&) = delete;
  SpawnLock& operator=(const SpawnLock&) = delete;
};

}  // namespace bottle
