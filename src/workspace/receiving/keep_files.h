// Copies files from a quarantine into the results.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "workspace/quarantine/changes.h"
#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

// Makes `to` a directory with these files only. The files of an earlier call stay until all of the new ones are on
// the disk. If the list is empty, there is no directory `to` afterward. `most` limits the total size in bytes.
// Calls `leave` for each file that has no copy, because its content does not exist or is more than git may answer with.
// Fails if the content exists but cannot be read now.
using Leave = std::function<void(const std::string& path, const std::string& why)>;
Result<> copy_files(const Quarantine& q, const git::Runner& git, const std::vector<Change>& list, const std::string& to,
                    uint64_t most, const Leave& leave);

}  // namespace bottle::workspace
