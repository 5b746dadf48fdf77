// Compares a recorded identity with the running system. An id alone could belong to a new process, and a start time
// alone could repeat after a reboot, so all three parts must agree.
#include "base/os/process_identity.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace bottle {

ProcessIdentity ProcessIdentity::of(int pid) { return {pid, process_start(pid).value_or(""), this_boot()}; }
ProcessIdentity ProcessIdentity::self() { return of(::getpid()); }

bool may_be_of_this_boot(const std::string& boot_id) {
  std::string now = this_boot();
  return boot_id.empty() || now.empty() || boot_id == now;
}

Life ProcessIdentity::life() const {
  if (pid <= 0 || !may_be_of_this_boot(boot_id)) return Life::dead;
  // For a dead process, this avoids running ps(1) on systems that have nothing else.
  if (::kill(pid, 0) != 0 && errno == ESRCH) return Life::dead;
  if (start_time.empty()) return Life::unknown;
  auto start = process_start(pid);
  if (!start) return Life::unknown;
  if (*start != start_time) return Life::dead;
  return boot_id.empty() || this_boot().empty() ? Life::unknown : Life::alive;
}

}  // namespace bottle
