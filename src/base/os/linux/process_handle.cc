#include "base/os/process_handle.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

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
  if (exit_) ::syscall(SYS_pidfd_send_signal, exit_.get(), number, nullptr, 0);
}

Result<Peer> peer_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return fail_errno("looking at a socket's peer");
  return Peer{peer.pid, peer.uid};
}

std::string command_line(pid_t pid) {
  return read_file("/proc/" + std::to_string(pid) + "/cmdline", 1 << 16).value_or("");
}

// Leaves the limits to limit_process(), because a shell would cost each child a millisecond.
std::vector<std::string> limited(std::vector<std::string> argv, uint64_t, uint64_t) { return argv; }

void limit_process(pid_t pid, uint64_t most_memory, uint64_t most_written) {
  for (auto [what, most] : {std::pair{RLIMIT_DATA, most_memory}, {RLIMIT_FSIZE, most_written}})
    if (rlimit limit{most, most}; most > 0) (void)::prlimit(pid, what, &limit, nullptr);  // it may have ended
}

}  // namespace bottle
