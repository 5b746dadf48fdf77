// Reads /proc. A process id alone names different processes over time, so wait_until_settled() also compares the start
// time. Between death and disappearance, a process passes through states that matter to callers who take over what it
// owned: with a SIGKILL pending, or with other threads still running, it can still write. While the kernel closes its
// files, others have already seen the end of its connections. wait_until_settled() waits for the end of these states.
//
// An error when reading /proc does not mean that the process has ended, not even "no such file": with the mount option
// hidepid, /proc hides the processes of other users, and those of the same user that are not dumpable. None of our
// processes is dumpable. So this code also asks the kernel with kill(2), which needs no descriptor and hides nothing.

#include "base/os/process_identity.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/os/deadline.h"
#include "base/text/parse.h"

namespace bottle {
namespace {

struct Process {
  std::string state;  // one letter; empty if there is no such process
  std::string flags;  // field 9 of /proc/PID/stat, a decimal number
  std::string start;  // field 22 of /proc/PID/stat

  bool is_zombie() const { return state == "Z" || state == "X"; }
  bool is_exiting() const {
    constexpr unsigned long kExiting = 4;  // PF_EXITING in the kernel's sched.h
    return number_in<unsigned long>(flags).value_or(0) & kExiting;
  }
};

// Reads the state and the start time of a process. The command name before these fields may contain spaces and
// parentheses. Fails if the process exists but /proc does not show it.
Result<Process> read_process(int pid) {
  auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  if (!stat && (pid <= 0 || (::kill(pid, 0) != 0 && errno == ESRCH))) return Process();
  if (!stat) return std::unexpected(std::move(stat.error()));
  std::istringstream rest(stat->substr(std::min(stat->size(), stat->rfind(')') + 1)));
  // After the name come the state, and then numbers, separated by single spaces (proc(5)).
  Process process;
  rest >> process.state;
  // The state is field 3. Each turn overwrites the field before, so the last one that is read is field 22.
  for (int i = 4; i <= 22; ++i) {
    rest >> process.start;
    if (i == 9) process.flags = process.start;
  }
  return process;
}

// Returns whether a zombie has other threads that are still exiting. The zombie itself is dead even if its parent has
// not waited for it.
Result<bool> has_threads_left(int pid) { return TRY(names_in("/proc/" + std::to_string(pid) + "/task")).size() > 1; }

// Returns whether SIGKILL was sent to the process and is still pending.
bool is_being_killed(int pid) {
  auto status = read_file("/proc/" + std::to_string(pid) + "/status");
  // ShdPnd is the set of signals that are pending for the whole process, as a hexadecimal mask (proc(5)).
  size_t at = status ? status->find("\nShdPnd:") : std::string::npos;
  return at != std::string::npos && (std::strtoull(status->c_str() + at + 8, nullptr, 16) >> (SIGKILL - 1) & 1);
}

}  // namespace

Result<std::string> process_start(int pid) {
  Process process = TRY(read_process(pid));
  return process.is_zombie() ? "" : process.start;
}

std::string this_boot() {
  auto id = read_file("/proc/sys/kernel/random/boot_id");
  if (!id) return "";
  while (!id->empty() && id->back() == '\n') id->pop_back();
  return *id;
}

Life wait_until_settled(int pid, const std::string& start_time) {
  for (auto deadline = Deadline::in(std::chrono::seconds(5));;) {
    auto process = read_process(pid);
    if (!process) return Life::unknown;
    if (process->state.empty()) return Life::dead;
    // An unknown start time proves nothing about the process that has the id now.
    if (start_time.empty()) return Life::unknown;
    if (process->start != start_time) return Life::dead;
    // The first thread of a process is a zombie while the others still exit.
    auto threads = process->is_zombie() ? has_threads_left(pid) : true;
    if (!threads) return Life::unknown;
    if (!*threads) return Life::dead;
    if (!process->is_zombie() && !process->is_exiting() && !is_being_killed(pid)) return Life::alive;
    if (deadline.is_over()) return Life::alive;  // it is stuck in the kernel, not dead
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace bottle
