// A client for the Docker Engine API over its Unix socket. Every call blocks and uses its own connection, so threads
// may call at the same time. A whole call may take 60 s (or BOTTLE_ENGINE_TIMEOUT); one wait inside a stream may take
// 10 minutes. No call throws. Errors contain the engine's message. Source: the Engine API reference, v1.41 to v1.47.
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
  std::string origin;  // where the choice came from, such as "DOCKER_HOST"; for error messages
};

// Chooses DOCKER_HOST, else the current docker context, else the first of the usual sockets (Docker, rootless, Desktop,
// Podman) that accepts a connection. If none does, chooses one that exists, so that connect() can say what is wrong.
Result<Endpoint> find_endpoint(const std::map<std::string, std::string>& environment);

// A hijacked stream to a container's stdin and stdout. Without a terminal, its output is multiplexed (demux.h); with
// one, it is raw.
class Attached {
 public:
  Attached(UniqueFd fd, std::string early) : fd_(std::move(fd)), early_(std::move(early)) {}
  int fd() const { return fd_.get(); }
  // The bytes that arrived together with the head of the response. Use them before the first read.
  std::string take_early() { return std::exchange(early_, {}); }

 private:
  UniqueFd fd_;
  std::string early_;
};

class Engine {
 public:
  using Reader = std::function<Result<size_t>(char*, size_t)>;  // returns 0 at the end
  using Writer = std::function<Result<>(std::string_view)>;
  using Json = nlohmann::json;

  // Negotiates the API version. Fails with Code::unavailable, denied, or invalid (the engine is too old), each with
  // advice.
  static Result<Engine> connect(const Endpoint& endpoint);
  const std::string& socket() const { return socket_; }
  const std::string& api_version() const { return version_; }

  Result<Json> info();
  Result<std::vector<std::string>> runtimes();

  // From now on, `witness` is called before each request to create a container or network is sent, on the thread that
  // sends it, with the connection it uses (0 if unknown). With that, a caller can find out later whether such a request
  // is still being worked on (abandoned.h).
  void note_creates(std::function<Result<>(uint64_t end)> note) { note_ = std::move(note); }

  // Returns the id.
  Result<std::string> create_container(const std::string& name, const Json& config);
  Result<> start_container(const std::string& id, int timeout_ms = 0);                    // 0: the usual time limit
  Result<> stop_container(const std::string& id, int seconds);                            // SIGKILL after `seconds`
  Result<> kill_container(const std::string& id, const std::string& signal = "SIGKILL");  // succeeds if not running
  // Removes by force, with anonymous volumes. Blocks until the container is gone, at most 30 s. Succeeds if there is
  // no such container.
  Result<> remove_container(const std::string& name);
  // Blocks until the container has exited, and returns its status. A limit of 0 is the usual one, and -1 means none.
  Result<int> wait_container(const std::string& id, int timeout_ms = 0);
  Result<Json> inspect_container(const std::string& id);
  // Attach before starting the container, or the first output is lost. It must have been created with stdin open.
  Result<Attached> attach(const std::string& id, bool terminal);
  Result<> resize(const std::string& id, int rows, int cols);
  // Returns the last `lines` lines of both streams as one text of at most 1 MB, for error messages.
  Result<std::string> logs(const std::string& id, int lines = 100);

  // Unpacks a tar archive below `path`, or packs `path` into one.
  Result<> put_archive(const std::string& id, const std::string& path, const Reader& reader);
  Result<> get_archive(const std::string& id, const std::string& path, const Writer& writer);
  // The container's whole root file system as a tar archive, without what is mounted in it.
  Result<> export_container(const std::string& id, const Writer& writer);

  Result<std::string> create_network(const std::string& name, const Json& config);
  Result<> connect_network(const std::string& network, const std::string& container, const Json& endpoint);
  Result<Json> inspect_network(const std::string& name);
  Result<> remove_network(const std::string& name);  // succeeds if there is none; waits while endpoints leave
  // Returns [{"name":…,"subnet":"10.0.0.0/24"}…] for all networks of the engine.
  Result<Json> subnets_in_use();

  Result<std::string> create_volume(const std::string& name, const std::map<std::string, std::string>& labels);
  Result<Json> inspect_volume(const std::string& name);
  Result<> remove_volume(const std::string& name);  // succeeds if there is none; waits up to 5 s while it is in use

  Result<bool> image_exists(const std::string& reference);
  // Creates an image with one layer from a root file system. `changes` are Dockerfile instructions, such as
  // ENTRYPOINT ["/guard"].
  Result<> import_image(const std::string& reference, const Reader& reader, const std::vector<std::string>& changes);
  // Removes an image by reference or id. Fails with Code::conflict if a container uses it. Succeeds if there is none.
  Result<> remove_image(const std::string& reference);
  // Adds a name, REPOSITORY:TAG, to an image. An image that had this name loses it.
  Result<> tag_image(const std::string& id, const std::string& reference);
  Result<Json> inspect_image(const std::string& reference);
  Result<Json> images();      // as GET /images/json, including images without a tag
  Result<Json> containers();  // as GET /containers/json?all=1
  // Writes and reads the engine's own archive of an image, as `docker save` and `docker load` do.
  Result<> save_image(const std::string& reference, const Writer& writer);
  Result<> load_image(const Reader& reader);
  // Returns the digests of an image's layers, lowest layer first.
  Result<std::vector<std::string>> layers(const std::string& reference);

  // Lists `kind`: containers (also stopped ones), networks, volumes or images. `label` is `key` or `key=value`.
  Result<Json> list_by_label(const std::string& kind, const std::string& label);

 private:
  std::string socket_, version_;
  std::function<Result<>(uint64_t)> note_;
  std::string path(const std::string& rest) const { return "/v" + version_ + rest; }
};

}  // namespace bottle::docker
