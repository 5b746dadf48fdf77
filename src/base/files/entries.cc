// Wraps readdir(3), whose errors are easy to miss: null means both the end and an error.
#include "base/files/entries.h"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/defer.h"

namespace bottle {

Result<const dirent*> next_entry(DIR* directory, const std::string& name) {
  for (;;) {
    errno = 0;  // readdir(3) returns null at the end and after an error, but sets errno only for an error
    // clang-tidy warns of other threads, but readdir(3) is safe in threads that list different directories.
    const dirent* entry = ::readdir(directory);  // NOLINT(concurrency-mt-unsafe)
    if (!entry && errno != 0 && errno != ENOENT) return fail_errno("reading " + name);
    std::string_view each = entry ? entry->d_name : "";
    if (each != "." && each != "..") return entry;
  }
}

Result<std::vector<std::string>> names_in(const std::string& directory) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(directory.c_str());
  if (!dir && errno == ENOENT) return names;
  if (!dir) return fail_errno("reading " + directory);
  Defer close([&] { ::closedir(dir); });
  while (const dirent* entry = TRY(next_entry(dir, directory))) names.emplace_back(entry->d_name);
  std::ranges::sort(names);
  return names;
}

}  // namespace bottle
