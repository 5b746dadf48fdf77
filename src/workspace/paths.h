// Paths as text: what they mean, decided without asking the disk.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::workspace {

std::vector<std::string> split_path(std::string_view path);  // at every slash; empty components are kept

// The components of an archive's path: no "..", not absolute, no NUL, at most 4095 bytes and 255 a component. "." and
// empty components are dropped; an empty answer is the root itself.
std::optional<std::vector<std::string>> safe_components(std::string_view path);
std::string join(const std::vector<std::string>& components, size_t from = 0);

// Would git on some machine take this component for its own directory? (.git, .GIT, git~1, ".git. ", .git::$INDEX)
bool is_git_directory(std::string_view component);

// Does a link at `path` (relative to the tree) with this target stay in the tree? Absolute targets never do.
bool stays_inside(std::string_view path, std::string_view target);

}  // namespace bottle::workspace
