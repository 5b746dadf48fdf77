// Identifies a process by its start time, which ps(1) prints, and by the time of the boot, which the utmpx database
// holds. This costs a process for each question, so the own start time is asked for only once.
#include "base/os/process_identity.h"

#include <unistd.h>
#include <utmpx.h>

#include <utility>

#include "base/os/posix/ps.h"

namespace bottle {

// Asks for `lstart`, which exists in the BSDs, in macOS and in procps, because POSIX has no field for the start time.
std::string process_start(int pid) {
  auto ask = [&] {
    std::string state = ask_ps(pid, "state="), start;
    // A zombie has a start time, but counts as dead.
    if (!state.empty() && state[0] != 'Z') start = ask_ps(pid, "lstart=");
    for (char& c : start)
      if (c == ':' || c == ' ') c = '_';  // a label separates its fields with colons
    return start;
  };
  if (pid <= 0) return "";
  if (pid != ::getpid()) return ask();
  static const std::pair<pid_t, std::string> own{::getpid(), ask()};  // it never changes, except in a forked child
  return own.first == pid ? own.second : ask();
}

std::string this_boot() {
  // The system is asked only once: the functions of utmpx use static memory, and only one thread initializes this
  // variable.
  static const std::string boot = [] {
    utmpx wanted{};
    wanted.ut_type = BOOT_TIME;
    ::setutxent();
    const utmpx* found = ::getutxid(&wanted);
    std::string time = found ? std::to_string(found->ut_tv.tv_sec) : "unrecorded";
    ::endutxent();
    return time;
  }();
  return boot;
}

bool is_running(int pid, const std::string& start_time) {
  return !start_time.empty() && process_start(pid) == start_time;
}

}  // namespace bottle
