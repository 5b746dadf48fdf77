// Finds the program's own file by argv[0] and PATH, because POSIX has no link such as /proc/self/exe. There is no
// hash by the linker either, so callers compute one from the file.
#include "base/os/this_program.h"
#include "base/text/path_parts.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace bottle {
namespace {

// Returns the path from remember_own_path(), which is empty if it was not found. It is resolved when the program
// starts, because the working directory, which a relative argv[0] depends on, may change.
std::string& own_path() {
  static std::string path;
  return path;
}

std::string resolved(const std::string& path) {
  char real[PATH_MAX];
  return ::access(path.c_str(), X_OK) == 0 && ::realpath(path.c_str(), real) ? real : "";
}

// Searches for a program in PATH as execvp(3) does.
std::string found_in_path(const std::string& name) {
  const char* variable = std::getenv("PATH");
  std::string places = variable ? variable : "/usr/bin:/bin";
  for (size_t at = 0; at <= places.size();) {
    size_t end = std::min(places.find(':', at), places.size());
    if (std::string real = resolved(places.substr(at, end - at) + "/" + name); end > at && !real.empty()) return real;
    at = end + 1;
  }
  return "";
}

}  // namespace

void remember_own_path(const char* argv0) {
  if (!argv0) return;
  own_path() = std::strchr(argv0, '/') ? resolved(argv0) : found_in_path(argv0);
}

std::string path_to_self() { return own_path().empty() ? "bottle" : own_path(); }

bool is_file_replaced() { return false; }

std::string directory_of_self() { return parent_of(own_path()); }

std::string build_id() { return ""; }

bool can_be_far_side() { return false; }

}  // namespace bottle
