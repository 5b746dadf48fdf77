// Names the modes of git's entries, as git writes them in trees, indexes and diffs.
// Source: git-fast-import(1), "filemodify"; diff format for `git diff-tree`.
#pragma once

namespace bottle::git {

inline constexpr char kFile[] = "100644", kExecutable[] = "100755";
inline constexpr char kSymlink[] = "120000";    // the blob is the link's target
inline constexpr char kSubmodule[] = "160000";  // the id is a commit of another repository
inline constexpr char kDirectory[] = "040000";  // the id is that of its tree
inline constexpr char kNone[] = "000000";       // in a diff: there is no entry

// Returns the mode of a regular file.
constexpr const char* mode_of_file(bool executable) { return executable ? kExecutable : kFile; }

}  // namespace bottle::git
