// Copies files from a quarantine into the results.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "workspace/quarantine.h"

namespace bottle::workspace {

// Copies the files of `list` below the directory `to`, which is made anew. `most` limits the total size in bytes.
Result<> copy_files(const Quarantine& q, const git::Runner& git, const std::vector<Change>& list, const std::string& to,
                    uint64_t most);

// Returns whether a pattern matches a path or a directory above it, as a line of .gitignore would: "dist/", "*.log",
// "/out/*.bin". Pure.
bool is_named(std::string_view pattern, std::string_view path);

}  // namespace bottle::workspace
