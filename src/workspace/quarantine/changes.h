// Lists what differs between two trees.
#pragma once

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

}  // namespace bottle::workspace
