// Copies files from a quarantine into the results.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "workspace/receiving/changes.h"
#include "workspace/receiving/quarantine.h"

namespace bottle::workspace {

// Copies the files of `list` below the directory `to`, which is made anew. `most` limits the total size in bytes.
Result<> copy_files(const Quarantine& q, const git::Runner& git, const std::vector<Change>& list, const std::string& to,
                    uint64_t most);

}  // namespace bottle::workspace
