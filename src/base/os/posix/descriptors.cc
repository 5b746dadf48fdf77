#include "base/os/descriptors.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "base/files/file.h"

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

// Accepts without the lock, because the call may block. A program that is started during the call keeps a copy of the
// connection until it exits.
UniqueFd accept_connection(int listener, Waits waits) {
  UniqueFd fd(::accept(listener, nullptr, nullptr));
  if (fd) settle(fd.get(), waits);
  return fd;
}

void defer_accepting(int) {}

Result<UniqueFd> make_memory_file(const char* name, std::string_view bytes) {
  std::shared_lock lock(spawning);
  const char* directory = std::getenv("TMPDIR");
  std::string path = std::string(directory && *directory == '/' ? directory : "/tmp") + "/" + name + "-XXXXXX";
  UniqueFd fd(::mkstemp(path.data()));
  if (!fd) return fail_errno("creating a temporary file in " + path.substr(0, path.rfind('/')));
  ::unlink(path.c_str());
  settle(fd.get(), Waits::yes);
  TRY(write_all(fd.get(), bytes));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return fail_errno("rewinding a temporary file");
  return fd;
}

int flush_data(int fd) { return ::fsync(fd); }

Result<UniqueFd> take_descriptor(int socket) {
  std::shared_lock lock(spawning);
  char byte;
  iovec part{&byte, 1};
  alignas(cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = ancillary;
  message.msg_controllen = sizeof ancillary;
  ssize_t n;
  do n = ::recvmsg(socket, &message, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n == 0) return fail(Code::closed, "the other side closed the socket");
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return fail(Code::unavailable, "nothing is pending");
  if (n < 0) return fail_errno("taking a descriptor");
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int))) return UniqueFd();
  int fd;
  std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
  settle(fd, Waits::yes);
  return UniqueFd(fd);
}

SpawnLock::SpawnLock() { spawning.lock(); }
SpawnLock::~SpawnLock() { spawning.unlock(); }

}  // namespace bottle
