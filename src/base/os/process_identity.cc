// Compares a recorded identity with the running system. An id alone could belong to a new process, and a start time
// alone could repeat after a reboot, so all three parts must agree.
#include "base/os/process_identity.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace bottle {

ProcessIdentity ProcessIdentity::of(int pid) { return {pid, process_start(pid), this_boot()}; }
ProcessIdentity ProcessIdentity::self() { return of(::getpid()); }

bool ProcessIdentity::alive() const {
  if (pid <= 0 || start_time.empty() || boot_id != this_boot()) return false;
  // For a dead process, this avoids running ps(1) on systems that have nothing else.
  if (::kill(pid, 0) != 0 && errno == ESRCH) return false;
  return start_time == process_start(pid);
}

}  // namespace bottle
