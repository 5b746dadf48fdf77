// Lists what differs between two trees.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

// Describes one path that differs, as git lists it. The path and the mode come from the agent's tree, so they are
// untrusted.
struct Change {
  std::string path, mode, object;  // the current state; mode "000000" means removed
};

// Returns the differences between two trees or commits, with modes.
Result<std::vector<Change>> changes(const Quarantine& q, const git::Runner& git, const std::string& from,
                                    const std::string& to);

// Returns the differences between the commit `from` and each of these commits, by id, with one process. Leaves out an
// id that is not that of a commit. Returns nothing at all if git cannot list one of them, or if the lists are too long.
Result<std::map<std::string, std::vector<Change>>> changes_of_commits(const Quarantine& q, const git::Runner& git,
                                                                      const std::string& from,
                                                                      const std::vector<std::string>& commits);

}  // namespace bottle::workspace
