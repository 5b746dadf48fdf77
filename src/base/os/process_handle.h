// Refers to a process that is not a child of this one, such as the owner of a session.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle {

// On Linux, the handle keeps referring to its process, even if the kernel reuses the id for another process. POSIX has
// no such handle, so elsewhere it is only the id.
class ProcessHandle {
 public:
  ProcessHandle() = default;
  // Fails with Code::not_found if there is no such process.
  static Result<ProcessHandle> open(pid_t pid);

  explicit operator bool() const { return pid_ > 0; }
  // Returns a descriptor that becomes readable when the process has exited, or -1 if the system has no such descriptor.
  int exit_fd() const { return exit_.get(); }
  // Sends a signal, if the process still exists. Does nothing for an empty handle. Errors are ignored.
  void signal(int number) const;

 private:
  pid_t pid_ = 0;
  UniqueFd exit_;
};

// Returns a descriptor that becomes readable when the process has exited, or an empty one if the system has no such
// descriptor.
UniqueFd exit_descriptor(pid_t pid);

struct Peer {
  pid_t pid = 0;  // 0 if the system cannot tell
  uid_t uid = 0;
};
// Returns the process at the other end of a Unix socket. For a connection to a listener, that is the listening process.
Result<Peer> peer_of(int socket);

// Returns the process's arguments, each followed by a NUL byte. Returns an empty string if there is no such process, or
// if the system cannot tell.
std::string command_line(pid_t pid);

}  // namespace bottle
