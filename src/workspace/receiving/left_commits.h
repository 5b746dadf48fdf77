// Finds the commits that the agent left without a ref.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

// Returns those of `ids` whose objects only the agent's repository has, in the same order. `brought` has the ids that
// an earlier call brought: these count as the agent's, although the operator's repository has their objects now.
Result<std::vector<std::string>> made_by_agent(const Quarantine& q, const git::Runner& git,
                                               const std::vector<std::string>& ids,
                                               const std::set<std::string>& brought);

// Returns those of `ids`, which are ordered from the oldest to the newest, that no commit of `reached` and none of the
// others has among its ancestors: the newest `most`, newest first. Ignores ids without an object. git runs once for
// each of them.
Result<std::vector<std::string>> left_commits(const Quarantine& q, const git::Runner& git, std::vector<std::string> ids,
                                              const std::vector<std::string>& reached, size_t most);

}  // namespace bottle::workspace
