// Identifies a process by its id, its start time and the boot id, because the kernel reuses process ids.
#pragma once

#include <string>

#include "base/error.h"

namespace bottle {

// Says whether a process lives. The answer is `unknown` if the system cannot tell: descriptors may be used up, or /proc
// may hide the processes of other users (hidepid). Remove what a process owns only if the process is known to be dead,
// and send it a signal only if it is known to be alive.
enum class Life { alive, dead, unknown };

// Returns the start time of a process in a form that can only be compared for equality: on Linux, clock ticks since
// boot (field 22 of /proc/PID/stat); elsewhere, what ps(1) prints. Returns an empty string if there is no such process,
// or if it is a zombie, which counts as dead. Fails if the system cannot tell.
Result<std::string> process_start(int pid);

// Returns the kernel's random id of this boot. On a system without one, returns the time of the boot, or nothing if it
// cannot be read.
std::string this_boot();

// Returns false if a process that was recorded in the boot `boot_id` is from an earlier boot, and therefore dead.
// Returns true if that boot or this one is unknown.
bool may_be_of_this_boot(const std::string& boot_id);

// Says whether the process with this start time still runs any of its code. A process that was killed may do so for
// a moment, and so may the other threads of a zombie. Blocks for at most 5 s until such a process, or one that is
// exiting, is gone. A process that is stuck in the kernel for longer counts as running. Only Linux can tell about
// threads and about exiting; elsewhere, every zombie counts as dead. Without a start time, the answer is `dead` only if
// no process has this id.
Life wait_until_settled(int pid, const std::string& start_time);

// Stands for the owner of a record on the disk. An empty start time means that there was no such process, or
// that the system could not tell.
struct ProcessIdentity {
  int pid = 0;
  std::string start_time, boot_id;

  // These functions ask the system when they are called. On systems other than Linux, both may block for the few
  // milliseconds that ps(1) takes.
  static ProcessIdentity of(int pid);
  static ProcessIdentity self();
  // Says whether this very process still exists and is not a zombie. It is dead after a reboot, and if `pid` is 0.
  Life life() const;
  bool alive() const { return life() == Life::alive; }
  bool dead() const { return life() == Life::dead; }
};

}  // namespace bottle
