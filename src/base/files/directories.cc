// Follows the XDG Base Directory Specification. The environment is a parameter, so the function is pure and a test
// can pass any.
#include "base/files/directories.h"

namespace bottle {

Directories Directories::from(const std::map<std::string, std::string>& environment) {
  auto get = [&](const char* name) {
    auto it = environment.find(name);
    return it == environment.end() ? std::string() : it->second;
  };
  std::string home = get("HOME").empty() ? "/" : get("HOME");
  // The XDG Base Directory Specification says that programs must ignore a path that is not absolute.
  auto base = [&](const char* name, const char* otherwise) {
    std::string path = get(name);
    return path.starts_with('/') ? path : home + otherwise;
  };
  std::string config = base("XDG_CONFIG_HOME", "/.config");
  std::string state = base("XDG_STATE_HOME", "/.local/state");
  std::string cache = base("XDG_CACHE_HOME", "/.cache");
  return {.config = config + "/bottle",
          .sessions = state + "/bottle/sessions",
          .results = state + "/bottle/results",
          .home = home,
          .cache = cache + "/bottle",
          .vms = state + "/bottle/vms",
          .runtimes = state + "/bottle/runtimes.json"};
}

}  // namespace bottle
