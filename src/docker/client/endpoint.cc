// Follows the order of Docker's own command line (DOCKER_HOST, then the context, then the default socket), so that
// `bottle` and `docker` use the same engine. Unlike docker, it then tries the sockets of a rootless engine and of
// Docker Desktop as well. Only Unix sockets count, because the engine and the files must be on the same machine.
// `bottle` reaches other machines over ssh instead.

#include "docker/client/endpoint.h"

#include <unistd.h>

#include <optional>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "docker/answers.h"
#include "docker/client/http.h"

namespace bottle::docker {
namespace {

using Json = nlohmann::json;

// Returns null if the file does not exist or is not JSON, as if Docker had no configuration.
Json read_json(const std::string& path) {
  auto text = read_file(path, 1 << 20);
  return text ? Json::parse(*text, nullptr, false) : Json();
}

Result<Endpoint> from_url(const std::string& url, const std::string& origin) {
  // After "unix://" follows an absolute path.
  if (url.starts_with("unix:///")) return Endpoint{url.substr(7), origin};
  return fail(Code::invalid, origin + " is '" + url + "', and bottle supports only unix:// sockets",
              "use `bottle start --remote USER@HOST`, run bottle on the engine's host, or forward its socket: "
              "ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock HOST");
}

// Docker names these directories after the SHA-256 of the context's name, but meta.json also contains the name.
Result<Endpoint> from_context(const std::string& config, const std::string& context) {
  std::string base = config + "/contexts/meta";
  std::optional<std::string> url;
  for (const auto& name : TRY(names_in(base))) {
    if (name.starts_with('.')) continue;
    Json meta = read_json(base + "/" + name + "/meta.json");
    if (text_of(meta, "Name") == context) url = text_of(member(member(meta, "Endpoints"), "docker"), "Host");
  }
  if (url) return from_url(*url, "the docker context " + context);
  return fail(Code::not_found, "the docker context " + context + " does not exist",
              "choose another one, for example with `docker context use default`; `docker context ls` lists them");
}

}  // namespace

// A setting of the operator is final: if DOCKER_HOST or a context names an engine that does not answer, no other
// engine is tried, because images and sessions would be in another place.
Result<Endpoint> find_endpoint(const std::map<std::string, std::string>& environment) {
  auto get = [&](const char* name) {
    auto it = environment.find(name);
    return it == environment.end() ? std::string() : it->second;
  };
  if (std::string host = get("DOCKER_HOST"); !host.empty()) return from_url(host, "DOCKER_HOST");

  std::string home = get("HOME"), runtime = get("XDG_RUNTIME_DIR"), config = get("DOCKER_CONFIG"),
              context = get("DOCKER_CONTEXT");
  if (config.empty()) config = home + "/.docker";
  if (context.empty()) context = text_of(read_json(config + "/config.json"), "currentContext");
  // "default" is Docker's name for its default socket and has no files.
  if (!context.empty() && context != "default") return from_context(config, context);

  // A command over ssh may have no login session to set XDG_RUNTIME_DIR, so we assume its usual value.
  if (runtime.empty()) runtime = "/run/user/" + std::to_string(::getuid());
  std::vector<std::string> sockets = {"/var/run/docker.sock"};
  sockets.push_back(runtime + "/docker.sock");
  if (!home.empty()) sockets.push_back(home + "/.docker/run/docker.sock");
  std::optional<Endpoint> silent;
  for (const auto& path : sockets) {
    // A second is enough for a local socket. An engine whose queue is full counts as silent.
    auto connection = Connection::open({path}, 1000);
    // An existing socket may be left over from an engine that is gone, so only an attempt to connect decides.
    if (connection) return Endpoint{path, path};
    if (!silent && ::access(path.c_str(), F_OK) == 0) silent = Endpoint{path, path};
  }
  if (silent) return *silent;
  // This looks for Podman only to explain why it is not used.
  for (const std::string& path : {runtime + "/podman/podman.sock", std::string("/run/podman/podman.sock")})
    if (::access(path.c_str(), F_OK) == 0)
      return fail(Code::unavailable,
                  "the only container engine that was found is Podman (" + path +
                      "), whose API does not accept bottle's filter for system calls",
                  "install and start Docker (apt-get install docker.io), or set DOCKER_HOST=unix:///path");
  return fail(
      Code::unavailable,
      "found no container engine: DOCKER_HOST and the docker context are not set, and no socket is in the usual places",
      "install and start Docker (apt-get install docker.io), or set DOCKER_HOST=unix:///path");
}

}  // namespace bottle::docker
