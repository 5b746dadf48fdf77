#include "base/directories.h"

namespace bottle::session {

Directories Directories::from(const std::map<std::string, std::string>& environment) {
  auto get = [&](const char* name) {
    auto it = environment.find(name);
    return it == environment.end() ? std::string() : it->second;
  };
  std::string home = get("HOME").empty() ? "/" : get("HOME");
  std::string config = get("XDG_CONFIG_HOME").empty() ? home + "/.config" : get("XDG_CONFIG_HOME");
  std::string state = get("XDG_STATE_HOME").empty() ? home + "/.local/state" : get("XDG_STATE_HOME");
  std::string cache = get("XDG_CACHE_HOME").empty() ? home + "/.cache" : get("XDG_CACHE_HOME");
  return {config + "/bottle", state + "/bottle/sessions",     state + "/bottle/results", home,
          cache + "/bottle",  state + "/bottle/runtimes.json"};
}

}  // namespace bottle::session
