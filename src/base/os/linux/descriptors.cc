// Linux can create each kind of descriptor together with its close-on-exec flag, so nothing here needs SpawnLock,
// whose constructor and destructor do nothing. The options of sockets are set without checking, because a connection
// also works without them.

#include "base/os/descriptors.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/files/file.h"
#include "base/os/receive_message.h"

namespace bottle {
namespace {

int socket_flags(Waits waits) { return SOCK_CLOEXEC | (waits == Waits::no ? SOCK_NONBLOCK : 0); }

}  // namespace

Result<PipeEnds> make_pipe(Waits waits) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | (waits == Waits::no ? O_NONBLOCK : 0)) != 0) return fail_errno("creating a pipe");
  return PipeEnds{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void widen_pipe(int fd, int bytes) { (void)::fcntl(fd, F_SETPIPE_SZ, bytes); }

Result<SocketPair> make_socket_pair(Waits waits) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | socket_flags(waits), 0, ends) != 0)
    return fail_errno("creating a socket pair");
  return SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

UniqueFd open_socket(int family, int type, Waits waits) {
  return UniqueFd(::socket(family, type | socket_flags(waits), 0));
}

UniqueFd accept_connection(int listener, Waits waits) {
  return UniqueFd(::accept4(listener, nullptr, nullptr, socket_flags(waits)));
}

void defer_accepting(int listener) {
  // After this time, the kernel accepts even a silent connection (tcp(7)).
  int seconds = 1;
  ::setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
}

void keep_alive(int connection) {
  // 60 s of silence and four probes 15 s apart make the two minutes of the contract. Keep-alive probes are not sent
  // while data waits for an acknowledgment, so TCP_USER_TIMEOUT sets the same limit for that case (tcp(7)).
  int on = 1, idle_s = 60, pause_s = 15, probes = 4, lost_ms = 120'000;
  ::setsockopt(connection, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(connection, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  ::setsockopt(connection, IPPROTO_TCP, TCP_KEEPINTVL, &pause_s, sizeof pause_s);
  ::setsockopt(connection, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  ::setsockopt(connection, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost_ms, sizeof lost_ms);
}

Result<UniqueFd> make_memory_file(const char* name, std::string_view bytes) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd) return fail_errno("creating a memory file");
  // The kernel's position moves with each write, so it is set back for the reader below.
  TRY(write_all(fd.get(), bytes));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return fail_errno("rewinding a memory file");
  return fd;
}

// fdatasync(2) leaves out the times of the file, which saves a write of its inode.
int flush_data(int fd) { return ::fdatasync(fd); }

// MSG_CMSG_CLOEXEC sets the close-on-exec flag while the descriptors are received.
ssize_t receive_message(int socket, msghdr& message) {
  return ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}

SpawnLock::SpawnLock() = default;
SpawnLock::~SpawnLock() = default;

}  // namespace bottle
