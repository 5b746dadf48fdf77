// Finds the commits that the agent left without a ref, and counts those that came home.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/keyed_hash.h"
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

// Says which commits some histories add to others.
struct AddedCommits {
  std::optional<uint64_t> number;  // nothing if git cannot tell, for example because a history is broken
  KeyedMap<std::string, std::vector<std::string>> parents;  // of each of these commits; empty if there are many

  // Returns whether `id` is one of them and leads to `ancestor`. If not, `ancestor` may still be an ancestor.
  bool leads(const std::string& id, const std::string& ancestor) const;
};

// Returns the commits that `ids` reach and `without` do not. Fails only for a reason that says nothing about the
// histories.
Result<AddedCommits> added_commits(const Quarantine& q, const git::Runner& git, const std::vector<std::string>& ids,
                                   const std::vector<std::string>& without);

}  // namespace bottle::workspace
