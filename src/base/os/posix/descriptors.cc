// Creates descriptors in two steps, because no POSIX call both creates a descriptor and sets the close-on-exec flag.
// A lock makes the two steps look like one to the spawner. POSIX has no counterpart of memfd_create(2),
// defer_accepting() and widen_pipe(), so callers must not depend on more than the header promises.

#include "base/os/descriptors.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "base/files/file.h"
#include "base/os/receive_message.h"
#include "base/text/path_parts.h"

namespace bottle {
namespace {

// No program may be started between the call that creates a descriptor and the call that sets its close-on-exec flag.
// Otherwise, the program would keep the descriptor, and a reader of the pipe would wait forever for the end. The
// functions that create descriptors share the lock, and the spawner holds it exclusively.
std::shared_mutex spawning;

void settle(int fd, Waits waits) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (waits == Waits::no) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

}  // namespace

Result<PipeEnds> make_pipe(Waits waits) {
  std::shared_lock lock(spawning);
  int ends[2];
  if (::pipe(ends) != 0) return fail_errno("creating a pipe");
  for (int fd : ends) settle(fd, waits);
  return PipeEnds{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void widen_pipe(int, int) {}

Result<SocketPair> make_socket_pair(Waits waits) {
  std::shared_lock lock(spawning);
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return fail_errno("creating a socket pair");
  for (int fd : ends) settle(fd, waits);
  return SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

UniqueFd open_socket(int family, int type, Waits waits) {
  std::shared_lock lock(spawning);
  UniqueFd fd(::socket(family, type, 0));
  if (fd) settle(fd.get(), waits);
  return fd;
}

// Accepts without the lock, because the call may block. A program that starts between the two steps keeps a copy of
// the connection until it exits.
UniqueFd accept_connection(int listener, Waits waits) {
  UniqueFd fd(::accept(listener, nullptr, nullptr));
  if (fd) settle(fd.get(), waits);
  return fd;
}

void defer_accepting(int) {}

void keep_alive(int connection) {
  // POSIX has no options for the intervals, so those of the system apply, often two hours.
  int on = 1;
  ::setsockopt(connection, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

Result<UniqueFd> make_memory_file(const char* name, std::string_view bytes) {
  std::shared_lock lock(spawning);
  // A relative path would depend on the working directory of the process.
  const char* directory = std::getenv("TMPDIR");
  std::string path = std::string(directory && *directory == '/' ? directory : "/tmp") + "/" + name + "-XXXXXX";
  UniqueFd fd(::mkstemp(path.data()));
  if (!fd) return fail_errno("creating a temporary file in " + parent_of(path));
  // The file loses its name immediately, so that no other process can open it and nothing is left after a crash.
  ::unlink(path.c_str());
  settle(fd.get(), Waits::yes);
  TRY(write_all(fd.get(), bytes));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return fail_errno("rewinding a temporary file");
  return fd;
}

int flush_data(int fd) { return ::fsync(fd); }

ssize_t receive_message(int socket, msghdr& message) {
  std::shared_lock lock(spawning);
  ssize_t n = ::recvmsg(socket, &message, MSG_DONTWAIT);
  // The loop takes all descriptors of the message, because a sender may pass more than the one that is expected.
  for (cmsghdr* head = n < 0 ? nullptr : CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= head->cmsg_len; at += sizeof(int)) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(head) + at, sizeof fd);
      settle(fd, Waits::yes);
    }
  }
  return n;
}

SpawnLock::SpawnLock() { spawning.lock(); }
SpawnLock::~SpawnLock() { spawning.unlock(); }

}  // namespace bottle
