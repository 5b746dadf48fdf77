// Which files of a tree run, or steer what runs, without being started by name: when a person enters the directory,
// opens it in an editor, installs, builds or tests it, commits, or pushes it to where CI runs. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::workspace {

// Why somebody should look at this file before doing any of that; empty: no reason. `directory`: what stands at the
// path may hold more (a link, a submodule). As a file system may read names that takes no notice of case.
std::string_view reason_to_look(std::string_view path, bool directory = false);

// Whether a rule is about this directory and what stands right below it (.github/workflows/); folded already.
bool is_first_half(std::string_view folded_name);

// Files of which only a part is a reason.
enum class Content { none, npm, composer, cargo };
Content content_of(std::string_view path);

// A component of a path as such a file system compares it: lower case, without what HFS+ does not see, letters that
// APFS folds into ASCII as ASCII.
std::string folded_name(std::string_view component);
std::string folded_path(std::string_view path);

}  // namespace bottle::workspace
