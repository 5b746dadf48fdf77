// Lists what differs between two trees.
#pragma once

#include <string>
#include <vector>

#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

struct Change {
  std::string path, mode, object;  // the current state; mode "000000" means removed
};

// Returns the differences between two trees or commits, with modes.
Result<std::vector<Change>> changes(const Quarantine& q, const git::Runner& git, const std::string& from,
                                    const std::string& to);

}  // namespace bottle::workspace
