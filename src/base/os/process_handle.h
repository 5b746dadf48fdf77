// Refers to a process that is not our child, such as the owner of a session.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle {

// On Linux the handle stays with its process, even if the kernel gives the id to another process. POSIX has no such
// handle, so there it is only the id.
class ProcessHandle {
 public:
  ProcessHandle() = default;
  // Fails with Code::not_found if there is no such process.
  static Result<ProcessHandle> open(pid_t pid);

  explicit operator bool() const { return pid_ > 0; }
  // A descriptor that becomes readable when the process has exited; -1 if the system has no such thing.
  int exit_fd() const { return exit_.get(); }
  void signal(int number) const;

 private:
  pid_t pid_ = 0;
  UniqueFd exit_;
};

// Returns what becomes readable when the process has exited, or nothing if the system has no such thing.
UniqueFd exit_descriptor(pid_t pid);

struct Peer {
  pid_t pid = 0;  // 0 if the system does not tell
  uid_t uid = 0;
};
// Returns the process at the other end of a Unix socket, which for a connection is the process that listens.
Result<Peer> peer_of(int socket);

// Returns the process's arguments, each followed by a NUL byte. Empty if there is no such process, or if the system
// does not tell.
std::string command_line(pid_t pid);

// Limits, in bytes, what a program may use as data and may write to a file (RLIMIT_DATA, RLIMIT_FSIZE); 0 sets no
// limit. A system does one of two things: limited() returns the words that run `argv` with the limits, or
// limit_process() sets them for the process once it runs.
std::vector<std::string> limited(std::vector<std::string> argv, uint64_t most_memory, uint64_t most_written);
void limit_process(pid_t pid, uint64_t most_memory, uint64_t most_written);

}  // namespace bottle
