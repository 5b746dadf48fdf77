// Contains what is the same on all systems. Only the flags of recvmsg(2) differ, which each system's receive_message()
// hides.

#include "base/os/descriptors.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/os/receive_message.h"
#include "base/unix_address.h"

namespace bottle {

Result<UniqueFd> listen_at(const std::string& path, int backlog) {
  sockaddr_un address = TRY(unix_address(path));
  UniqueFd fd = open_socket(AF_UNIX, SOCK_STREAM);
  if (!fd) return fail_errno("making a socket");
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("binding " + path);
  // Nothing can connect before listen(2), so it does not matter which mode the umask left until here. The umask itself
  // is not changed, because it applies to the whole process and to all files that it makes later.
  if (::chmod(path.c_str(), 0600) != 0) return fail_errno("setting the mode of " + path);
  if (::listen(fd.get(), backlog) != 0) return fail_errno("listening on " + path);
  return fd;
}

Result<> pass_descriptor(int socket, int fd) {
  // A stream socket passes descriptors only together with at least one byte of data.
  char byte = 0;
  iovec part{&byte, 1};
  // The macros of cmsg(3) need a buffer that is aligned like a header and has the padding that CMSG_SPACE adds.
  alignas(cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = ancillary;
  message.msg_controllen = sizeof ancillary;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  // With MSG_NOSIGNAL, the call fails if the other side is gone, and does not raise SIGPIPE. With MSG_DONTWAIT, it
  // also fails if the other side does not read.
  if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) return fail_errno("passing a descriptor");
  return {};
}

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
  do n = receive_message(socket, message);
  while (n < 0 && errno == EINTR);
  // A message has at least one byte, so 0 is the end.
  if (n == 0) return fail(Code::closed, "the other side closed the socket");
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return fail(Code::unavailable, "nothing is pending");
  if (n < 0) return fail_errno("taking a descriptor");
  // The padding of the buffer has room for a second descriptor. All that arrived are closed unless there is only one.
  std::vector<UniqueFd> taken;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= head->cmsg_len; at += sizeof(int)) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(head) + at, sizeof fd);
      taken.emplace_back(fd);
    }
  }
  // An empty descriptor tells the caller that the other side broke the agreement.
  if (taken.size() != 1 || (message.msg_flags & MSG_CTRUNC)) return UniqueFd();
  return std::move(taken[0]);
}

}  // namespace bottle
