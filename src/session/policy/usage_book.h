// Keeps the usage of a session, as its guard reports it, so that it outlives the guard. The next guard continues from
// it, and the operator sees it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "wire/guard/usage.h"
#include "wire/result.h"

namespace bottle::session {

// Holds the totals of each host as the guard last reported them. watch() keeps it for as long as the session lives.
class UsageBook {
 public:
  // Keeps the latest totals of each host. Ignores hosts beyond kMostKept, which only a guard that an agent has taken
  // over would send.
  void take(const wire::Usage& usage);
  // Returns everything for the next guard. Hosts beyond kMost become one entry.
  std::vector<wire::HostUsage> all() const;
  // Returns the hosts for the operator, those of models first and then by the number of requests. Hosts beyond
  // kMostShown become one entry.
  std::vector<wire::ShownUsage> shown() const;

  // These are numbers of hosts. kMost stays below what a list in a message may have (kMany in wire/codec), and
  // kMostShown keeps a result small.
  static constexpr size_t kMostKept = 16'384, kMost = 4900, kMostShown = 300;

 private:
  std::map<std::string, wire::HostUsage> hosts_;
};

}  // namespace bottle::session
