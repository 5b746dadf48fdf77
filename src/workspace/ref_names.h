// The names below refs/bottle/ under which an agent's refs come back.
#pragma once

#include <string>
#include <string_view>

namespace bottle::workspace {

// "heads/x" for refs/heads/x, "tags/x", "notes/x", "stash/0" for refs/stash, and "other/x" for what else is below
// refs/. A name that ours may not have comes back below "encoded/", with "=C3" for each such byte, and cut where it
// is too long for a file's. `name`: one that git takes (git::is_ref_name). Pure.
std::string name_for(std::string_view name);

// A path of the workspace as one component of such a name.
std::string encoded_component(std::string_view path);

}  // namespace bottle::workspace
