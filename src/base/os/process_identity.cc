#include "base/os/process_identity.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "base/files/file.h"

namespace bottle {

std::string process_start(int pid) {
  // The command name before it may hold spaces and parentheses.
  auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  if (!stat) return "";
  std::istringstream rest(stat->substr(std::min(stat->size(), stat->rfind(')') + 1)));
  std::string field;
  rest >> field;
  if (field == "Z" || field == "X") return "";
  for (int i = 4; i <= 22; ++i) rest >> field;
  return field;
}

std::string this_boot() {
  auto id = read_file("/proc/sys/kernel/random/boot_id");
  if (!id) return "";
  while (!id->empty() && id->back() == '\n') id->pop_back();
  return *id;
}

ProcessIdentity ProcessIdentity::of(int pid) { return {pid, process_start(pid), this_boot()}; }
ProcessIdentity ProcessIdentity::self() { return of(::getpid()); }

bool ProcessIdentity::alive() const {
  if (pid <= 0 || start_time.empty() || boot_id != this_boot()) return false;
  if (::kill(pid, 0) != 0 && errno == ESRCH) return false;
  return start_time == process_start(pid);
}

}  // namespace bottle
