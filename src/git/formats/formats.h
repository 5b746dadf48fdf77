// Parses the files of a repository as untrusted text.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::git {

using Refs = std::map<std::string, std::string>;  // refs/heads/main → object id

// Returns whether the text has the lower-case hexadecimal digits of an object id of either format (object_format.h).
bool is_object_id(std::string_view text);

// Returns whether the whole name, which begins with refs/, is valid (git-check-ref-format(1)).
bool is_ref_name(std::string_view name);
// Returns whether bottle accepts the name as a branch below refs/heads/. The rules are narrower than git's, so that no
// program mistakes the name for an option or a pattern.
bool is_branch_name(std::string_view name);

// Returns the refs in the "ID NAME" lines of a packed-refs file whose names are valid and begin with `below`.
Refs parse_packed_refs(std::string_view text, std::string_view below);
// Returns `refs` as lines of a packed-refs file.
std::string packed(const Refs& refs);

// Returns the lines of a file of alternates that are paths, unchanged (gitrepository-layout(5)).
std::vector<std::string> alternates_in(std::string_view text);

}  // namespace bottle::git
