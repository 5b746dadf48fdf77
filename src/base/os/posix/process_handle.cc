// Refers to processes by their ids, because POSIX has nothing else. A check of the identity (process_identity.h) just
// before a signal leaves only a short moment in which the id could be reused.
#include "base/os/process_handle.h"

#include <signal.h>

#include <cerrno>

#include "base/os/posix/ps.h"

namespace bottle {

UniqueFd exit_descriptor(pid_t) { return {}; }

Result<ProcessHandle> ProcessHandle::open(pid_t pid) {
  // Signal 0 only checks. EPERM means that the process exists and belongs to another user.
  if (::kill(pid, 0) != 0 && errno == ESRCH) return fail(Code::not_found, "there is no process " + std::to_string(pid));
  ProcessHandle handle;
  handle.pid_ = pid;
  return handle;
}

void ProcessHandle::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

// Always fails, because POSIX has no call for this. A port can use its system's call here (LOCAL_PEERPID,
// getpeerucred).
Result<Peer> peer_of(int) {
  return fail(Code::unavailable, "this system does not tell which process a socket leads to");
}

// ps(1) separates arguments with spaces, so an argument that contains a space looks like two.
std::string command_line(pid_t pid) {
  std::string line = ask_ps(pid, "args=").value_or("");
  for (char& c : line)
    if (c == ' ') c = '\0';
  return line.empty() ? line : line + '\0';
}

}  // namespace bottle
