// Determines from the names of an archive's entries what they are. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bottle::workspace {

using Path = std::vector<std::string>;

// Returns whether the path, which is below a git directory and not empty, is a loose object.
bool is_loose_object(const Path& path);

// Returns whether such a path is a pack. Indexes of packs are not accepted, because building them again reads and
// checks every object of the pack.
bool is_pack(const Path& path);

// Returns whether such a path is the index of the repository or of one of its work trees, or a shared index to which
// such an index refers.
bool is_index(const Path& path);

// Returns why safe_components() does not accept a path of the archive.
const char* why_unsafe(std::string_view path);

}  // namespace bottle::workspace
