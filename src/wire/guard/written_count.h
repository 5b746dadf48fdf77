// Defines what the meter of a session prints (session/disk/meter.h). The guard's program runs as the meter.
#pragma once

#include <cstdint>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Says how much an agent has written to its container's disk.
struct WrittenCount {
  static constexpr const char* kName = "count of what the agent wrote";
  static constexpr size_t kMost = 4096;
  uint64_t bytes = 0;    // counted in blocks of the disk, so that a sparse file counts only the space it occupies
  bool complete = true;  // false if something could not be read, or if directories are nested too deeply
};
void fields(Object& o, WrittenCount& count);

}  // namespace bottle::wire
