// The Docker Engine API over its unix socket. Every call blocks and has a connection of its own, so that threads may
// call at once; each has a time limit (60 s, or BOTTLE_ENGINE_TIMEOUT, for a whole call; 10 min for one wait inside a
// stream) and none throws. Errors carry the engine's own words. Source: the Engine API reference, v1.41 to v1.47.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/unique_fd.h"
#include "docker/demux.h"

namespace bottle::docker {

struct Endpoint {
  std::string socket;
  std::string origin;  // why this one; for error messages
};

// DOCKER_HOST, the current docker context, then the first of the usual sockets (Docker, rootless, Desktop, Podman) that
// answers a connection. If none does, one that is there, so that connect() can say what is wrong with it.
Result<Endpoint> find_endpoint(const std::map<std::string, std::string>& environment);

// A hijacked stream to a container's stdin and stdout. Without a terminal the bytes are Demux's, with one they are
// bare.
class Attached {
 public:
  Attached(UniqueFd fd, std::string early) : fd_(std::move(fd)), early_(std::move(early)) {}
  int fd() const { return fd_.get(); }
  // What came with the response's head; to be used before the first read.
  std::string take_early() { return std::exchange(early_, {}); }

 private:
  UniqueFd fd_;
  std::string early_;
};

class Engine {
 public:
  using Reader = std::function<Result<size_t>(char*, size_t)>;  // 0: the end
  using Writer = std::function<Result<>(std::string_view)>;
  using Json = nlohmann::json;

  // Negotiates the API version; Code::unavailable, denied or invalid (too old), each with what to do.
  static Result<Engine> connect(const Endpoint& endpoint);
  const std::string& socket() const { return socket_; }
  const std::string& api_version() const { return version_; }

  Result<Json> info();
  Result<std::vector<std::string>> runtimes();

  // From now on told, before each create of a container or network is sent, which connection it goes over (0: unknown),
  // on the thread that creates: for who must know later whether such a create is still under way (abandoned.h).
  void note_creates(std::function<Result<>(uint64_t end)> note) { note_ = std::move(note); }

  // The id.
  Result<std::string> create_container(const std::string& name, const Json& config);
  Result<> start_container(const std::string& id, int timeout_ms = 0);                    // 0: as for any call
  Result<> stop_container(const std::string& id, int seconds);                            // SIGKILL after `seconds`
  Result<> kill_container(const std::string& id, const std::string& signal = "SIGKILL");  // not running: success
  // By force and with its anonymous volumes; blocks until it is gone (30 s at most). Not there: success.
  Result<> remove_container(const std::string& name);
  // Blocks until it has ended: its status. 0: as long as any call; -1: without a time limit.
  Result<int> wait_container(const std::string& id, int timeout_ms = 0);
  Result<Json> inspect_container(const std::string& id);
  // Attach before start, or the first output is lost. The container must have been made with stdin open.
  Result<Attached> attach(const std::string& id, bool terminal);
  Result<> resize(const std::string& id, int rows, int cols);
  // Both streams' last `lines` lines, as one text (1 MB at most): for error messages.
  Result<std::string> logs(const std::string& id, int lines = 100);

  // A tar archive, unpacked below `path`, or packed from it.
  Result<> put_archive(const std::string& id, const std::string& path, const Reader& reader);
  Result<> get_archive(const std::string& id, const std::string& path, const Writer& writer);
  // The container's whole root file system as a tar archive, without what is mounted in it.
  Result<> export_container(const std::string& id, const Writer& writer);

  Result<std::string> create_network(const std::string& name, const Json& config);
  Result<> connect_network(const std::string& network, const std::string& container, const Json& endpoint);
  Result<Json> inspect_network(const std::string& name);
  Result<> remove_network(const std::string& name);  // not there: success; waits while endpoints leave
  // [{"name":…,"subnet":"10.0.0.0/24"}…] of every network the engine has.
  Result<Json> subnets_in_use();

  Result<std::string> create_volume(const std::string& name, const std::map<std::string, std::string>& labels);
  Result<Json> inspect_volume(const std::string& name);
  Result<> remove_volume(const std::string& name);  // not there: success; waits while it is in use (5 s at most)

  Result<bool> image_exists(const std::string& reference);
  // Makes an image of one layer from a root file system. `changes` are Dockerfile instructions: ENTRYPOINT ["/guard"].
  Result<> import_image(const std::string& reference, const Reader& reader, const std::vector<std::string>& changes);
  // By reference, or by id; an image that a container uses stays (Code::conflict). Not there: success.
  Result<> remove_image(const std::string& reference);
  // One more name, REPOSITORY:TAG, for an image. An image that had it loses it.
  Result<> tag_image(const std::string& id, const std::string& reference);
  Result<Json> inspect_image(const std::string& reference);
  Result<Json> images();      // as GET /images/json, those without a tag too
  Result<Json> containers();  // as GET /containers/json?all=1
  // The engine's own archive of an image, as `docker save` writes it, and back. Its layers travel whole.
  Result<> save_image(const std::string& reference, const Writer& writer);
  Result<> load_image(const Reader& reader);
  // The digests of an image's layers, lowest first.
  Result<std::vector<std::string>> layers(const std::string& reference);

  // kind: containers (stopped ones too), networks, volumes or images. label: `key` or `key=value`.
  Result<Json> list_by_label(const std::string& kind, const std::string& label);

 private:
  std::string socket_, version_;
  std::function<Result<>(uint64_t)> note_;
  std::string path(const std::string& rest) const { return "/v" + version_ + rest; }
};

}  // namespace bottle::docker
