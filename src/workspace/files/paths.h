// Interprets paths as text, without accessing the disk.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::workspace {

std::vector<std::string> split_path(std::string_view path);  // splits at every slash; keeps empty components

// Returns the components of a path in an archive, or nothing if it contains "..", is absolute, contains NUL, or is
// longer than 4095 bytes or 255 bytes in one component. Drops "." and empty components; an empty result is the root
// itself.
std::optional<std::vector<std::string>> safe_components(std::string_view path);
// Joins the components from index `from` on with slashes.
std::string join(const std::vector<std::string>& components, size_t from = 0);
// Adds all directories above a path, except for the root. If one of them is there, so are those above it.
void add_directories_above(const std::string& path, std::set<std::string>& directories);

// Returns whether git on any operating system would treat this component as its own directory (.git, .GIT, git~1,
// ".git. ", .git::$INDEX).
bool is_git_directory(std::string_view component);

// Returns whether a link at `path` (relative to the tree) with this target stays in the tree if no name in the target
// is a link. An absolute target never does.
bool stays_inside(std::string_view path, std::string_view target);

// Returns whether ".." follows a name in the target. If that name is a link, the target leads to a different place
// than its text suggests, perhaps outside the tree.
bool goes_back(std::string_view target);

}  // namespace bottle::workspace
