// Defines the counters of a running session, for its operator (docs/guard.md, "Counters").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wire/codec/codec.h"
#include "wire/result.h"

namespace bottle::wire {

// Counts the decisions of one kind.
struct DecisionCount {
  std::string action, kind, code;
  uint64_t count = 0;
};
void fields(Object& o, DecisionCount& count);

// Counts the decisions about one host, and the bytes of its connections.
struct HostCount {
  std::string host;  // "(others)" for all hosts beyond the limit
  uint64_t allowed = 0, denied = 0;
  uint64_t bytes_out = 0, bytes_in = 0;  // of connections that have ended
};
void fields(Object& o, HostCount& count);

// Holds the counters since the session began. They survive a restart of the guard, because the supervisor counts.
struct Metrics {
  static constexpr const char* kName = "session's counters";
  static constexpr size_t kMost = 1 << 20;
  bool guard_up = false, record_full = false;
  uint64_t guard_restarts = 0, record_lines = 0;
  std::vector<DecisionCount> decisions;
  std::vector<HostCount> hosts;
  std::vector<ShownUsage> used = {};
};
void fields(Object& o, Metrics& metrics);

}  // namespace bottle::wire
