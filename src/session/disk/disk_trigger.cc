// Counting what an agent has written takes a container, whereas the free space of the disk takes only a system call.
// So the free space decides when to count: an agent that exceeds its limit has taken at least the rest of its limit
// from the disk since the last count. Other programs write to the disk as well, so a loss of space is only a reason
// to count. It is a reason to stop the agent only when the disk is almost full.
#include "session/disk/disk_trigger.h"

#include <algorithm>

namespace bottle::session {
namespace {

using namespace std::chrono_literals;

// The shortest times between two counts; kBlindPause is for a disk that this machine cannot see.
constexpr auto kPause = 2s, kBlindPause = 60s;
// Both are in bytes.
constexpr uint64_t kLeastRoom = 16 << 20, kAlmostFull = 256 << 20;

}  // namespace

DiskTrigger::DiskTrigger(uint64_t limit, std::optional<DiskState> before, Time now)
    : limit_(limit), before_(before), least_taken_(before ? before->taken : 0), blind_at_(now + kBlindPause) {}

bool DiskTrigger::is_due(const std::optional<DiskState>& state, Time now) {
  if (!state || !before_) {
    if (now < std::max(next_, blind_at_)) return false;
    blind_at_ = now + kBlindPause;
    return true;
  }
  least_taken_ = std::min(least_taken_, state->taken);
  // Near the limit, the rest becomes so small that every other program's write would cause a count. The room therefore
  // never falls below a thirty-second of the limit or 16 MiB, whichever is larger.
  uint64_t room = std::max({used_ < limit_ ? limit_ - used_ : 0, limit_ / 32, kLeastRoom});
  if (now < next_ || state->taken - least_taken_ < std::min(room, limit_)) return false;
  taken_when_due_ = state->taken;
  return true;
}

void DiskTrigger::counted(std::optional<uint64_t> used, Duration took, Time now) {
  next_ = now + std::max<Duration>(kPause, 4 * took);
  if (!used) return;
  used_ = *used;
  // The next loss is measured from the moment when this count became due, so that it includes writes during the
  // count.
  if (before_) least_taken_ = taken_when_due_;
}

bool DiskTrigger::is_disk_almost_full(const std::optional<DiskState>& state) const {
  return state && before_ && state->free < kAlmostFull && state->taken > before_->taken + limit_;
}

}  // namespace bottle::session
