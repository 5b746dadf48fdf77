#include "base/os/descriptors.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/files/file.h"

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
  int seconds = 1;
  ::setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
}

Result<UniqueFd> make_memory_file(const char* name, std::string_view bytes) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd) return fail_errno("creating a memory file");
  TRY(write_all(fd.get(), bytes));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return fail_errno("rewinding a memory file");
  return fd;
}

int flush_data(int fd) { return ::fdatasync(fd); }

Result<UniqueFd> take_descriptor(int socket) {
  char byte;
  iovec part{&byte, 1};
  alignas(cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = ancillary;
  message.msg_controllen = sizeof ancillary;
  ssize_t n;
  do n = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n == 0) return fail(Code::closed, "the other side closed the socket");
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return fail(Code::unavailable, "nothing is pending");
  if (n < 0) return fail_errno("taking a descriptor");
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int))) return UniqueFd();
  int fd;
  std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
  return UniqueFd(fd);
}

SpawnLock::SpawnLock() = default;
SpawnLock::~SpawnLock() = default;

}  // namespace bottle
