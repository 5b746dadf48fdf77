// Defines the names below refs/bottle/ under which an agent's refs come back.
#pragma once

#include <string>
#include <string_view>

namespace bottle::workspace {

// Returns "heads/x" for refs/heads/x, likewise "tags/x" and "notes/x", "stash/0" for refs/stash, and "other/x" for
// everything else below refs/. A name that bottle's rules do not allow comes back below "encoded/", with "=C3" for each
// such byte, and is cut if it is too long for a file name. `name` must be valid for git (git::is_ref_name). Pure.
std::string name_for(std::string_view name);

// Returns another name for the same ref, below "encoded/". It ends with a hash of the whole name, so that it also
// differs from the names of other refs where the file system ignores case. Pure.
std::string distinct_name_for(std::string_view name);

// Returns a path of the workspace as one component of such a name.
std::string encoded_component(std::string_view path);

}  // namespace bottle::workspace
