// A refused call fails with one of a few errors before the kernel looks at its arguments. The arguments are therefore
// chosen so that an allowed call fails with another error or does no harm.
#include "inside/probes/calls.h"

#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace bottle::inside {
namespace {

constexpr int kGetKeyringId = 0, kSessionKeyring = -3;  // keyctl(2)

long socket_of(int family, int type, int protocol) {
  int fd = ::socket(family, type | SOCK_CLOEXEC, protocol);
  // close(2) may change errno, which the caller reads.
  int number = errno;
  if (fd >= 0) ::close(fd);
  errno = number;
  return fd;
}

}  // namespace

Probe judge_call(const char* name, long result, int number) {
  if (result >= 0) return {name, false, "the kernel allows it"};
  bool refused = number == EPERM || number == EACCES || number == ENOSYS || number == EAFNOSUPPORT;
  // Another error means that the call got as far as its arguments.
  return {name, refused,
          refused ? std::strerror(number) : std::string("only its arguments were refused: ") + std::strerror(number)};
}

std::vector<Probe> try_forbidden_calls(bool gvisor) {
  // vsock reaches the hypervisor, and so the host, without any network.
  long vsock = socket_of(AF_VSOCK, SOCK_STREAM, 0);
  std::vector<Probe> out = {judge_call("vsock", vsock, errno)};
  if (gvisor) return out;
  // This interface to the kernel's cryptography, io_uring and key rings are large parts of the kernel that a session
  // does not need, with many bugs in the past.
  long algorithms = socket_of(AF_ALG, SOCK_SEQPACKET, 0);
  out.push_back(judge_call("kernel_crypto", algorithms, errno));
  long ring = ::syscall(SYS_io_uring_setup, 1, nullptr);
  out.push_back(judge_call("io_uring", ring, errno));
  // Key rings are not fully separated by containers.
  long keys = ::syscall(SYS_keyctl, kGetKeyringId, kSessionKeyring, 0);
  out.push_back(judge_call("key_rings", keys, errno));
  return out;
}

}  // namespace bottle::inside
