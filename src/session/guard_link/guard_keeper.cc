// Restarts a guard that died. A start may block for seconds, so it runs in a thread, and the supervisor's loop polls
// for its outcome. The pauses between failed attempts double, so that a guard that can never start costs little, and
// a guard that died by accident is back immediately.
#include "session/guard_link/guard_keeper.h"

#include <algorithm>

#include "base/future.h"

namespace bottle::session {
namespace {

using namespace std::chrono_literals;

// The first attempt after a loss comes without a pause, because the agent has no network meanwhile. Pauses follow
// only failed attempts.
constexpr GuardKeeper::Clock::duration kFirstPause = 200ms, kLongestPause = 30s;
// 200 ms doubled eight times is longer than the longest pause, so more doublings would only overflow the shift.
constexpr int kMostDoublings = 8;

}  // namespace

void GuardKeeper::lose(Time now) {
  // A guard that was up for a minute was healthy. A guard that dies soon after each start keeps its count of attempts,
  // so that a failed start is not followed by the shortest pause every time.
  if (now - up_since_ > 1min) attempts_ = 0;
  state_ = State::down;
  retry_at_ = now + pause();
}

void GuardKeeper::begin(std::function<Result<GuardLink>()> start) {
  ++attempts_;
  state_ = State::starting;
  starting_ = std::async(std::launch::async, std::move(start));
}

std::optional<Result<GuardLink>> GuardKeeper::take(Time now) {
  if (state_ != State::starting || !is_ready(starting_)) return std::nullopt;
  auto link = starting_.get();
  if (link) {
    state_ = State::up;
    up_since_ = now;
    ++restarts_;
  } else {
    state_ = State::down;
    retry_at_ = now + pause();
  }
  return link;
}

GuardKeeper::Clock::duration GuardKeeper::pause() const {
  if (attempts_ == 0) return {};
  return std::min<Clock::duration>(kFirstPause * (1 << std::min(attempts_, kMostDoublings)), kLongestPause);
}

void GuardKeeper::end() const {
  if (starting_.valid()) starting_.wait();
}

}  // namespace bottle::session
