// Identifies a process by its start time, which ps(1) prints, and by the time of the boot, which the utmpx database
// holds. This costs a process for each question, so the own start time is asked for only once.
#include "base/os/process_identity.h"

#include <signal.h>
#include <unistd.h>
#include <utmpx.h>

#include <cerrno>
#include <utility>

#include "base/os/posix/ps.h"

namespace bottle {

// Asks for `lstart`, which exists in the BSDs, in macOS and in procps, because POSIX has no field for the start time.
Result<std::string> process_start(int pid) {
  auto ask = [&]() -> Result<std::string> {
    std::string state = TRY(ask_ps(pid, "state=")), start;
    // A zombie has a start time, but counts as dead.
    if (!state.empty() && state[0] != 'Z') start = TRY(ask_ps(pid, "lstart="));
    // A system may hide the processes of other users from ps(1), but hides none from kill(2).
    if (state.empty() && (::kill(pid, 0) == 0 || errno != ESRCH))
      return fail(Code::denied, "ps does not show the process " + std::to_string(pid));
    for (char& c : start)
      if (c == ':' || c == ' ') c = '_';  // a label separates its fields with colons
    return start;
  };
  if (pid <= 0) return "";
  if (pid != ::getpid()) return ask();
  static const std::pair<pid_t, Result<std::string>> own{::getpid(),
                                                         ask()};  // it never changes, except in a forked child
  return own.first == pid && own.second ? own.second : ask();
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

Life wait_until_settled(int pid, const std::string& start_time) {
  auto start = process_start(pid);
  if (!start || (start_time.empty() && !start->empty())) return Life::unknown;
  return *start == start_time && !start->empty() ? Life::alive : Life::dead;
}

}  // namespace bottle
