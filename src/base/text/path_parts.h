// Splits paths at their last slash, without looking at the file system.
#pragma once

#include <string>
#include <string_view>

namespace bottle {

// Returns what follows the last slash: "c" for "/a/b/c" and for "c". The result points into `path`.
inline std::string_view name_in(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Returns what comes before the last slash: "/a/b" for "/a/b/c", "/" for "/a", and "" if there is no slash.
inline std::string parent_of(std::string_view path) {
  size_t slash = path.rfind('/');
  if (slash == path.npos) return "";
  return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

}  // namespace bottle
