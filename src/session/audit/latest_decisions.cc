// Keeps the latest decisions in memory for a watcher on another machine, within a limit of lines and of bytes.
// Decisions have numbers, so that a watcher notices if some were dropped between two of its questions.
#include "session/audit/latest_decisions.h"

#include <algorithm>

namespace bottle::session {
namespace {

size_t size_of(const wire::Decision& decision) {
  constexpr size_t kOthers = 400;  // bytes of the short fields
  return kOthers + decision.host.size() + decision.method.size() + decision.path.size() + decision.reason.size();
}

}  // namespace

void LatestDecisions::add(const wire::Decision& decision) {
  kept_.push_back(decision);
  bytes_ += size_of(decision);
  ++next_;
  while (kept_.size() > kMost || bytes_ > kMostBytes) {
    bytes_ -= size_of(kept_.front());
    kept_.pop_front();
  }
}

wire::LatestDecisions LatestDecisions::since(std::optional<uint64_t> from) const {
  uint64_t first = next_ - kept_.size(), begin = std::clamp(from.value_or(next_), first, next_);
  wire::LatestDecisions latest{.from = begin, .next = begin, .decisions = {}};
  size_t bytes = 0;
  for (; latest.next < next_ && latest.decisions.size() < kMostAtOnce; ++latest.next) {
    const auto& decision = kept_[static_cast<size_t>(latest.next - first)];
    bytes += size_of(decision);
    // Each answer has at least one decision. Otherwise, a watcher would request a large one forever.
    if (bytes > kMostBytesAtOnce && !latest.decisions.empty()) break;
    latest.decisions.push_back(decision);
  }
  return latest;
}

}  // namespace bottle::session
