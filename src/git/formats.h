// What stands in the files of a repository, as text: nobody vouches for it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::git {

using Refs = std::map<std::string, std::string>;  // refs/heads/main → object id

bool is_object_id(std::string_view text);  // 40 or 64 lower-case hexadecimal digits

// git-check-ref-format(1), for a whole name that begins with refs/.
bool is_ref_name(std::string_view name);
// What we take for the name below refs/heads/: narrower than git's rules, so that it is nobody's option or pattern.
bool is_branch_name(std::string_view name);

// The lines "ID NAME" of a packed-refs file whose names are valid and begin with `below`.
Refs parse_packed_refs(std::string_view text, std::string_view below);
// The same lines.
std::string packed(const Refs& refs);

// The lines of a file of alternates that are paths, as they stand there (gitrepository-layout(5)).
std::vector<std::string> alternates_in(std::string_view text);

}  // namespace bottle::git
