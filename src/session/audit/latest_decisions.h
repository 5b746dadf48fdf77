// Keeps the latest decisions of a session in memory, for an operator on another machine who watches them. The record
// with all of them comes home only at the session's end.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "wire/guard/decision.h"

namespace bottle::session {

// Numbers the decisions of a session from 0 and keeps the latest ones. A watcher requests the decisions after the
// last number that it has seen.
class LatestDecisions {
 public:
  static constexpr size_t kMost = 1000, kMostBytes = 2 << 20;                // kept
  static constexpr size_t kMostAtOnce = 200, kMostBytesAtOnce = 256 * 1024;  // in one answer

  // Adds a decision. Drops the oldest ones beyond kMost decisions or kMostBytes.
  void add(const wire::Decision& decision);
  // Returns the decisions from this number on, as far as they are kept and fit into one answer. Without a number,
  // returns only the number of the next decision.
  wire::LatestDecisions since(std::optional<uint64_t> from) const;

 private:
  std::deque<wire::Decision> kept_;
  size_t bytes_ = 0;   // approximately, of `kept_`
  uint64_t next_ = 0;  // the number of the next decision
};

}  // namespace bottle::session
