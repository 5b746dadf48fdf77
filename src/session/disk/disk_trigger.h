// Decides when to count what an agent has written. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace bottle::session {

// Holds the state of the disks that the engine writes to, in bytes. `taken` counts each inode as 4 KiB, because a
// disk can also run out of inodes.
struct DiskState {
  uint64_t taken = 0, free = 0;
};

// Decides by the state of the disk and the results of earlier counts. DiskWatch asks it at most twice a second.
class DiskTrigger {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  // `limit` is in bytes. `before` is the state before the agent ran; it is empty if the engine's disk is not one of
  // this machine's, and then a count is due every minute.
  DiskTrigger(uint64_t limit, std::optional<DiskState> before, Time now);

  // Returns whether the disk has lost at least as much space as the agent may still use. Compares with the least space
  // that was ever taken, so that files deleted by other programs do not hide the agent's.
  bool is_due(const std::optional<DiskState>& state, Time now);
  // Takes the result of a count: how much the agent had written, in bytes, or nothing if the count failed, and how long
  // the count took. Schedules the next count so that counting takes at most a fifth of the time.
  void counted(std::optional<uint64_t> used, Duration took, Time now);
  // Returns whether the disk is almost full and has lost more than the limit since the agent began. This does not
  // prove that the agent wrote so much, but an agent can hide files from the count, and a full disk ends every
  // session on the engine.
  bool is_disk_almost_full(const std::optional<DiskState>& state) const;

 private:
  uint64_t limit_, used_ = 0;
  std::optional<DiskState> before_;
  uint64_t least_taken_ = 0, taken_when_due_ = 0;
  Time next_{}, blind_at_;
};

}  // namespace bottle::session
