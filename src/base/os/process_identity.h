// Identifies a process by its id, its start time and the boot id, because the kernel reuses process ids.
#pragma once

#include <string>

namespace bottle {

// Returns the start time of a process in a form that can only be compared for equality: on Linux, clock ticks since
// boot (field 22 of /proc/PID/stat); elsewhere, what ps(1) prints. Returns an empty string if there is no such process,
// or if it is a zombie, which counts as dead.
std::string process_start(int pid);

// Returns the kernel's random id of this boot. On a system without one, returns the time of the boot, or nothing if the
// system does not record it.
std::string this_boot();

// Reports whether the process with this start time still runs any of its code. A process that was killed may do so for
// a moment, and so may the other threads of a zombie. Blocks until such a process, or one that is exiting, is gone, for
// at most 5 s; one that is stuck in the kernel for longer counts as running. Only Linux can tell about threads and
// about exiting; elsewhere, every zombie counts as dead.
bool is_running(int pid, const std::string& start_time);

// Stands for the owner of a record on the disk. An empty start time means that there was no such process.
struct ProcessIdentity {
  int pid = 0;
  std::string start_time, boot_id;

  // These functions ask the system when they are called. On systems other than Linux, both may block for the few
  // milliseconds that ps(1) takes.
  static ProcessIdentity of(int pid);
  static ProcessIdentity self();
  // Returns whether this very process still exists and is not a zombie. It is false after a reboot, and false if the
  // system could not tell the start time.
  bool alive() const;
};

}  // namespace bottle
