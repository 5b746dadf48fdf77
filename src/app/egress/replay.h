// Judges a recorded audit again under another policy. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "app/egress/candidate.h"

namespace bottle::app {

// Counts the decisions that would change. Its memory is bounded, because the agent chose the names in the record.
class Replay {
 public:
  explicit Replay(const CandidatePolicy& policy) : policy_(policy) {}
  // Judges and counts a decision. A line about the end of a connection or of a record is not a decision.
  void add(const wire::Decision& decision);
  // Adds a line of a session's record, or of the audit of a guard that runs alone. Any other line counts as a decision
  // that cannot be judged.
  void add_line(std::string_view line);
  uint64_t decisions() const;  // the number of all decisions

  // Describes decisions that would change in the same way, about the same request.
  struct Changed {
    uint64_t count = 0;
    CandidatePolicy::Verdict verdict;
  };
  // change, kind, host, port, method, path
  using Key = std::tuple<CandidatePolicy::Change, wire::DecisionKind, std::string, uint16_t, std::string, std::string>;
  static constexpr size_t kMostChanges = 1000;

  uint64_t same = 0, refused = 0, allowed = 0, unjudged = 0;  // in decisions
  uint64_t unreadable = 0;  // lines that are not decisions; `unjudged` counts these, too
  uint64_t more = 0;        // decisions counted in `refused` and `allowed` that are not in `changes`
  std::map<Key, Changed> changes;

 private:
  void take_back(const wire::Decision& decision, uint64_t count);
  const CandidatePolicy& policy_;
};

}  // namespace bottle::app
