// Wraps readdir(3), whose errors are easy to miss: null means both the end and an error.
#include "base/files/entries.h"

#include <cerrno>
#include <string_view>

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

}  // namespace bottle
