// Asks the kernel's sock_diag(7) about single sockets, by inode. A client can find the inode of its own end, and the
// kernel then tells it the inode of the engine's end, which stays valid after the client has died. Whether the engine
// still holds its end has an exact answer. Waiting and looking for what the request might have made would not give
// one (docs/decisions/005-…). The kernel's answer is checked like any other input: every length is checked, and a
// missing attribute counts as unknown.

#include "docker/client/abandoned.h"

#include <sys/stat.h>

#ifdef __linux__
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/time.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include "base/os/deadline.h"
#include "base/unique_fd.h"
#endif

namespace bottle::docker {

#ifndef __linux__
Result<uint64_t> other_end(int, int, const std::stop_token&) { return 0; }
bool is_abandoned(uint64_t, const std::string&) { return false; }
#else

namespace {

constexpr uint8_t kBothWays = 3;  // RCV_SHUTDOWN | SEND_SHUTDOWN: the peer closed, or died

// Holds the kernel's facts about one socket: the inode of its peer, the inode and the device of the file that it is
// bound to, and which directions are shut down.
struct Socket {
  uint32_t peer = 0;  // 0 if there is no peer, or if the connection has not been accepted
  uint32_t file = 0, device = 0;
  uint8_t shutdown = 0;
};

// Reads the attributes of an answer. What is not there keeps its default.
Socket read_attributes(const char* at, size_t size) {
  Socket socket;
  while (size >= sizeof(nlattr)) {
    nlattr head;
    std::memcpy(&head, at, sizeof head);
    // A length that does not fit would lead out of the buffer.
    if (head.nla_len < sizeof head || head.nla_len > size) break;
    const char* value = at + sizeof head;
    size_t length = head.nla_len - sizeof head;
    if (head.nla_type == UNIX_DIAG_PEER && length >= sizeof socket.peer)
      std::memcpy(&socket.peer, value, sizeof socket.peer);
    if (head.nla_type == UNIX_DIAG_SHUTDOWN && length >= 1) socket.shutdown = static_cast<uint8_t>(*value);
    if (head.nla_type == UNIX_DIAG_VFS && length >= sizeof(unix_diag_vfs)) {
      unix_diag_vfs vfs;
      std::memcpy(&vfs, value, sizeof vfs);
      socket.file = vfs.udiag_vfs_ino;
      socket.device = vfs.udiag_vfs_dev;
    }
    // Attributes are padded to four bytes; the last one may lack its padding.
    size_t step = std::min<size_t>((head.nla_len + 3u) & ~3u, size);
    at += step;
    size -= step;
  }
  return socket;
}

// Looks up one socket by its inode. Returns nothing if there is none. Fails if the kernel does not tell.
Result<std::optional<Socket> > look_up(uint32_t inode) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) return fail_errno("asking the kernel about a socket");
  // The kernel answers immediately. The limit only keeps a lost message from blocking a teardown.
  timeval limit{5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  struct {
    nlmsghdr head;
    unix_diag_req ask;
  } message{};
  message.head.nlmsg_len = sizeof message;
  message.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.head.nlmsg_flags = NLM_F_REQUEST;
  message.ask.sdiag_family = AF_UNIX;
  // This asks for sockets in any state, because a connection that is not accepted yet counts as well.
  message.ask.udiag_states = ~0u;
  message.ask.udiag_ino = inode;
  message.ask.udiag_cookie[0] = message.ask.udiag_cookie[1] = ~0u;  // match any cookie
  message.ask.udiag_show = UDIAG_SHOW_VFS | UDIAG_SHOW_PEER;
  if (::send(fd.get(), &message, sizeof message, 0) != static_cast<ssize_t>(sizeof message))
    return fail_errno("asking the kernel about a socket");
  alignas(nlmsghdr) char buffer[8192];
  ssize_t n;
  do n = ::recv(fd.get(), buffer, sizeof buffer, 0);
  while (n < 0 && errno == EINTR);
  if (n < 0) return fail_errno("asking the kernel about a socket");
  // One request without NLM_F_DUMP has one answer, so only the first message is read.
  auto* head = reinterpret_cast<nlmsghdr*>(buffer);
  if (!NLMSG_OK(head, static_cast<size_t>(n)))
    return fail(Code::protocol, "the kernel's answer about a socket is truncated");
  if (head->nlmsg_type == NLMSG_ERROR) {
    int error =
        head->nlmsg_len >= NLMSG_LENGTH(sizeof(nlmsgerr)) ? -static_cast<nlmsgerr*>(NLMSG_DATA(head))->error : EPROTO;
    // These two mean that there is no such socket. After any other error, the answer is unknown.
    if (error == ENOENT || error == ESTALE) return std::nullopt;
    return fail_errno("asking the kernel about a socket", error);
  }
  if (head->nlmsg_len < NLMSG_LENGTH(sizeof(unix_diag_msg)))
    return fail(Code::protocol, "the kernel's answer about a socket is truncated");
  const char* data = static_cast<const char*>(NLMSG_DATA(head));
  return read_attributes(data + sizeof(unix_diag_msg), head->nlmsg_len - NLMSG_LENGTH(sizeof(unix_diag_msg)));
}

}  // namespace

Result<uint64_t> other_end(int fd, int timeout_ms, const std::stop_token& stop) {
  struct stat own{};
  // 0 tells the caller that the connection cannot be watched, which is not an error of the call.
  if (::fstat(fd, &own) != 0) return 0;
  auto deadline = Deadline::in_ms(timeout_ms);
  for (int pause_us = 50;; pause_us = std::min(pause_us * 2, 20000)) {
    // The kernel reports the peer only once the engine has accepted, and it sends no event for that.
    auto socket = look_up(static_cast<uint32_t>(own.st_ino));
    if (!socket || !*socket) return 0;
    if ((*socket)->peer != 0) return (*socket)->peer;
    // A stopped engine never accepts, so the caller must be able to cancel this wait.
    if (stop.stop_requested()) return fail(Code::canceled, "the call to the engine was canceled");
    if (deadline.is_over()) return fail(Code::timed_out, "the engine does not accept connections");
    std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
  }
}

bool is_abandoned(uint64_t end, const std::string& path) {
  struct stat file{};
  // Without the file, the engine that listened there is gone, and its requests with it.
  if (end == 0 || ::stat(path.c_str(), &file) != 0) return false;
  auto socket = look_up(static_cast<uint32_t>(end));
  if (!socket || !*socket) return false;
  // The kernel may have reused the inode for another socket. Then its file differs, or its client is alive. The kernel
  // writes devices as major << 20 | minor.
  const Socket& s = **socket;
  return (s.shutdown & kBothWays) == kBothWays && s.file == static_cast<uint32_t>(file.st_ino) &&
         s.device == (major(file.st_dev) << 20 | minor(file.st_dev));
}
#endif

}  // namespace bottle::docker
