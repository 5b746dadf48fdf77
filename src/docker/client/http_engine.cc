// connect() asks for the version first, because the path of every other call contains it. It chooses the newest
// version that both sides support, up to the newest that was tested, because a later one may change the meaning of an
// answer. All failures come with advice, because a missing engine is the first problem that an operator meets.

#include "docker/client/http_engine.h"

#include <unistd.h>

#include <algorithm>

#include "base/text/parse.h"
#include "docker/answers.h"
#include "docker/client/abandoned.h"
#include "docker/client/call.h"

namespace bottle::docker {
namespace {
// The minor numbers of the API versions, 1.47 and 1.41 (Docker 20.10).
constexpr int kNewest = 47, kOldest = 41;
}  // namespace

Result<std::unique_ptr<Engine>> connect(const Endpoint& endpoint) {
  auto response =
      call({endpoint.socket, endpoint.stop}, "GET", "/_ping", nullptr,
           "asking the engine at " + endpoint.socket + " for its version", std::min(10000, call_timeout_ms()));
  if (!response) {
    Error error = std::move(response.error());
    error.what += " (from " + endpoint.origin + ")";
    if (error.code == Code::denied) {
      error.todo = "add yourself to the group that owns " + endpoint.socket +
                   " (`sudo usermod -aG docker \"$USER\"`), then sign in again; or use a rootless engine";
    } else {
      error.todo = ::access(endpoint.socket.c_str(), F_OK) != 0
                       ? "install and start Docker, or point DOCKER_HOST at its unix socket"
                       : "start dockerd, or point DOCKER_HOST at its unix socket";
      // For callers, it only matters that there is no engine to talk to.
      error.code = Code::unavailable;
    }
    return std::unexpected(std::move(error));
  }
  // Only Podman's emulation of the Docker API sends this header.
  if (response->headers.contains("libpod-api-version"))
    return fail(Code::invalid,
                "the engine at " + endpoint.socket + " (from " + endpoint.origin +
                    ") is Podman, whose API does not accept bottle's filter for system calls",
                "install and start Docker, or point DOCKER_HOST at Docker's unix socket");
  std::string theirs = response->headers["api-version"];
  // All versions of the API so far begin with "1.".
  int minor = theirs.starts_with("1.") ? number_in<int>(std::string_view(theirs).substr(2)).value_or(0) : 0;
  if (minor < kOldest)
    return fail(Code::invalid,
                "the engine at " + endpoint.socket + " has API version " + (theirs.empty() ? "?" : theirs) +
                    ", which is too old",
                "install Docker 20.10 (API 1.41) or later");
  return std::make_unique<HttpEngine>(Dial{endpoint.socket, endpoint.stop},
                                      "1." + std::to_string(std::min(minor, kNewest)));
}

void HttpEngine::note_creates(std::function<Result<>(uint64_t end)> note) { note_ = std::move(note); }

bool HttpEngine::is_abandoned(uint64_t end) { return docker::is_abandoned(end, dial_.socket); }

Result<EngineInfo> HttpEngine::info() {
  return read_info(TRY(call_json(dial_, "GET", path("/info"), nullptr, "asking the engine about itself")));
}

Result<Engine::Json> HttpEngine::list_by_label(const std::string& kind, const std::string& label) {
  Json filter = Json::object();
  // The filter is JSON within the query: {"label":["key=value"]}.
  filter["label"] = Json::array({label});
  // The API has containers and images at /KIND/json, and the others at /KIND.
  std::string query =
      (kind == "containers" || kind == "images" ? "/" + kind + "/json?all=1&filters=" : "/" + kind + "?filters=");
  Json json =
      TRY(call_json(dial_, "GET", path(query + escaped(filter.dump(-1, ' ', false, Json::error_handler_t::replace))),
                    nullptr, "listing " + kind));
  // The other kinds are a list; volumes are in an object, with null if there are none.
  if (kind == "volumes") json = Json(member(json, "Volumes"));
  if (json.is_null()) return Json::array();
  if (!json.is_array()) return fail(Code::protocol, "listing " + kind + ": the engine's answer is not a list");
  return json;
}

}  // namespace bottle::docker
