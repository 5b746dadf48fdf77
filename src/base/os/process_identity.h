// Which process is meant: numbers are used again, so a process is told by its number, its start and the machine's boot.
#pragma once

#include <string>

namespace bottle {

// Clock ticks after boot at which the process began (field 22 of /proc/PID/stat). Empty where there is none, or a
// zombie: it is dead, whether or not its parent has looked.
std::string process_start(int pid);

// The kernel's random id of this boot.
std::string this_boot();

struct ProcessIdentity {
  int pid = 0;
  std::string start_time, boot_id;

  static ProcessIdentity of(int pid);
  static ProcessIdentity self();
  bool alive() const;
};

}  // namespace bottle
