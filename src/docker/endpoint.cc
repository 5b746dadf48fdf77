#include <unistd.h>

#include <dirent.h>

#include "base/file.h"
#include "docker/engine.h"

namespace bottle::docker {

Result<Endpoint> find_endpoint(const std::map<std::string, std::string>& environment) {
  auto get = [&](const char* name) {
    auto it = environment.find(name);
    return it == environment.end() ? std::string() : it->second;
  };
  auto from_url = [](const std::string& url, const std::string& origin) -> Result<Endpoint> {
    if (url.starts_with("unix://")) return Endpoint{url.substr(7), origin};
    return fail(Code::invalid, origin + " is '" + url + "': only unix:// sockets are spoken to directly",
                "run bottle on the engine's own host, or forward its socket");
  };
  std::string home = get("HOME");
  if (std::string host = get("DOCKER_HOST"); !host.empty()) return from_url(host, "DOCKER_HOST");
  std::string context = get("DOCKER_CONTEXT");
  if (context.empty())
    if (auto text = read_file(home + "/.docker/config.json", 1 << 20)) {
      auto json = nlohmann::json::parse(*text, nullptr, false);
      if (json.is_object()) context = json.value("currentContext", "");
    }
  if (!context.empty() && context != "default") {
    std::string base = home + "/.docker/contexts/meta";
    if (DIR* dir = ::opendir(base.c_str())) {
      std::string url;
      while (dirent* entry = ::readdir(dir)) {
        auto text = read_file(base + "/" + entry->d_name + "/meta.json", 1 << 20);
        auto json = text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
        if (json.is_object() && json.value("Name", "") == context) url = json.value("/Endpoints/docker/Host"_json_pointer, "");
      }
      ::closedir(dir);
      if (!url.empty()) return from_url(url, "the docker context " + context);
    }
    return fail(Code::not_found, "the docker context " + context + " is not there", "see `docker context ls`");
  }
  std::string runtime = get("XDG_RUNTIME_DIR");
  for (const std::string& path : {std::string("/var/run/docker.sock"), runtime + "/docker.sock", home + "/.docker/run/docker.sock",
                                  runtime + "/podman/podman.sock"})
    if (::access(path.c_str(), F_OK) == 0) return Endpoint{path, path};
  return fail(Code::unavailable, "no container engine was found: no DOCKER_HOST, no docker context, no socket in the usual places",
              "install and start Docker (apt-get install docker.io), or set DOCKER_HOST=unix:///path");
}

}  // namespace bottle::docker
