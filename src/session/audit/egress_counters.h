// Counts the decisions of a session for its operator. The memory is bounded, because the agent chooses the names.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "wire/guard/decision.h"
#include "wire/metrics.h"

namespace bottle::session {

// Holds the counts of a running session, which `bottle egress metrics` shows. Hosts and kinds beyond the limits are
// counted together under kOthers.
class EgressCounters {
 public:
  static constexpr size_t kMostHosts = 300, kMostKinds = 500;
  static constexpr const char* kOthers = "(others)";

  // Counts a decision; one line may stand for several (Decision::count).
  void add(const wire::Decision& decision);
  // Sets the counts of decisions and of hosts in `metrics`. They never decrease.
  void fill(wire::Metrics& metrics) const;

 private:
  std::map<std::tuple<std::string, std::string, std::string>, uint64_t> kinds_;  // by action, kind and code
  std::map<std::string, wire::HostCount> hosts_;
};

}  // namespace bottle::session
