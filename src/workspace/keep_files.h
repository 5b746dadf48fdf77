// Files of a quarantine as files among the results.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "workspace/quarantine.h"

namespace bottle::workspace {

// Copies the files of `list` below the directory `to`, which is made anew. `most`: bytes, of all of them.
Result<> copy_files(const Quarantine& q, const git::Runner& git, const std::vector<Change>& list, const std::string& to,
                    uint64_t most);

// Whether a pattern names a path or a directory above it, as a line of .gitignore would: "dist/", "*.log",
// "/out/*.bin". Pure.
bool is_named(std::string_view pattern, std::string_view path);

}  // namespace bottle::workspace
