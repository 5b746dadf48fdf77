// Counts what an agent has written to its container's disk. A separate process does this, as root in another
// container (src/session/disk/meter.h), so the agent can neither hide a directory from it nor stop it.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bottle::measure {

// Each file counts as at least this many bytes, because inodes can run out, too.
inline constexpr uint64_t kLeastFile = 4096;

// Holds the result of one count.
struct Measured {
  uint64_t bytes = 0;    // counted in blocks of the disk, so that a sparse file counts only the space it occupies
  bool complete = true;  // false if something could not be read, or if directories are nested too deeply
};

// Counts what was written or changed since a time below these directories, without other file systems that are mounted
// below them. Each file counts once, as a whole, by its ctime, which an agent cannot set. Files that are deleted but
// that a process in `proc` still has open count too. Blocks.
Measured measure(const std::vector<std::string>& roots, timespec since, const std::string& proc = "/proc");

// Runs `--measure SECONDS NANOSECONDS DIRECTORY…`, whose words are in `arguments` without the first, and prints
// {"bytes":…,"complete":…}. Returns the exit status.
int run(const std::vector<std::string>& arguments);

}  // namespace bottle::measure
