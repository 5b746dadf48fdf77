// Identifies a process. The kernel reuses process ids, so the start time and the boot id belong to the identity.
#pragma once

#include <string>

namespace bottle {

// Returns the start time of a process in clock ticks since boot (field 22 of /proc/PID/stat). Empty if there is no such
// process, or if it is a zombie, which counts as dead.
std::string process_start(int pid);

// Returns the kernel's random id of this boot.
std::string this_boot();

struct ProcessIdentity {
  int pid = 0;
  std::string start_time, boot_id;

  static ProcessIdentity of(int pid);
  static ProcessIdentity self();
  bool alive() const;
};

}  // namespace bottle
