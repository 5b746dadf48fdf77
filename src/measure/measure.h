// Counts what an agent has written to its container's disk. A separate process does this, as root in another
// container (src/session/disk/meter.h), so the agent can neither hide a directory from it nor stop it.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "wire/guard/written_count.h"

namespace bottle::measure {

// Each file counts as at least this many bytes, because inodes can run out, too.
inline constexpr uint64_t kLeastFile = 4096;

// Counts what was written or changed since a time below these directories, without other file systems that are mounted
// below them. Each file counts once, as a whole, by its ctime, which an agent cannot set. Files that are deleted but
// that a process in `proc` still has open count too. Blocks.
wire::WrittenCount measure(const std::vector<std::string>& roots, timespec since, const std::string& proc = "/proc");

// Holds the times of this moment: by the clock that can be set, and since the boot.
struct Clocks {
  timespec real{}, boot{};
  uint64_t ticks = 0;  // the unit of times in /proc, per second
};
// Returns when the process whose /proc/PID/stat is `stat` started, by the clock as it is set now, or `since` if that is
// earlier or if `stat` cannot be read. If the clock was set back, files that were written later seem older than
// `since`. Pure.
timespec earliest_start(timespec since, const std::string& stat, const Clocks& clocks);

// Runs `--measure SECONDS NANOSECONDS DIRECTORY…`, whose words are in `arguments` without the first, and prints
// a wire::WrittenCount. Returns the exit status. The time is when the container of process 1 started. If the clock
// was set back since then, counts from when process 1 started by the present clock; if process 1 is this program, the
// count is incomplete until the clock has reached that time again.
int run(const std::vector<std::string>& arguments);

}  // namespace bottle::measure
