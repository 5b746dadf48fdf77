// Refers to processes by pidfd. A process id can be reused as soon as its process was reaped, whereas a pidfd always
// refers to the process for which it was opened, and becomes readable when that process ends.
#include "base/os/process_handle.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/files/file.h"

namespace bottle {

UniqueFd exit_descriptor(pid_t pid) { return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

Result<ProcessHandle> ProcessHandle::open(pid_t pid) {
  ProcessHandle handle;
  handle.exit_ = exit_descriptor(pid);
  if (!handle.exit_ && errno == ESRCH) return fail(Code::not_found, "there is no process " + std::to_string(pid));
  if (!handle.exit_) return fail_errno("looking at pid " + std::to_string(pid));
  handle.pid_ = pid;
  return handle;
}

void ProcessHandle::signal(int number) const {
  // The signal goes to the process that the descriptor refers to, even if its id belongs to another process by now.
  if (exit_) ::syscall(SYS_pidfd_send_signal, exit_.get(), number, nullptr, 0);
}

Result<Peer> peer_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return fail_errno("looking at a socket's peer");
  return Peer{peer.pid, peer.uid};
}

// The limit is larger than most command lines. One that is longer counts as unknown.
std::string command_line(pid_t pid) {
  return read_file("/proc/" + std::to_string(pid) + "/cmdline", 1 << 16).value_or("");
}

}  // namespace bottle
