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

// Returns those of `ids` that are ancestors neither of a commit of `reached` nor of another one of the ids: at most
// `most`, newest first. `ids` must be ordered from the oldest to the newest. Ignores ids without an object. Runs git
// once for each commit that it returns.
Result<std::vector<std::string>> unreferenced_commits(const Quarantine& q, const git::Runner& git,
                                                      std::vector<std::string> ids, std::vector<std::string> reached,
                                                      size_t most);

}  // namespace bottle::workspace
