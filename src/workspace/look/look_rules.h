// Defines which files of a tree run, or control what runs, without being started by name: when a person enters the
// directory, opens it in an editor, installs, builds or tests it, commits, or pushes it to where CI runs. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::workspace {

// Returns why a person should look at this file before doing any of that, or an empty string. `directory` means that
// the path may have more below it (a link, a submodule). Compares names like a case-insensitive file system.
std::string_view reason_to_look(std::string_view path, bool directory = false);

// Returns why a person should look at the removal of this file before doing any of that, or an empty string: the file
// may have forbidden something that is allowed without it.
std::string_view reason_if_removed(std::string_view path);

// Returns whether a rule concerns this directory together with an entry directly below it (.github/workflows/). The
// name must be folded.
bool is_first_half(std::string_view folded_name);

// Files of which only a part of the content is a reason to look.
enum class Content { none, npm, composer, cargo };
Content content_of(std::string_view path);

// Returns a path component as a case-insensitive file system compares it: in lower case, without the characters that
// HFS+ ignores, and with the letters that APFS folds into ASCII.
std::string folded_name(std::string_view component);
std::string folded_path(std::string_view path);

}  // namespace bottle::workspace
