// Defines the interface to a container engine, with the calls that `bottle` needs. docker/client implements it for a
// real engine, and docker/fake in memory, for unit tests. All rooms share this one interface, because they work on
// the same things: a teardown finds what a launch made.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/unique_fd.h"
#include "docker/demux.h"
#include "docker/engine_info.h"

namespace bottle::docker {

// Says which engine to use, and why that one.
struct Endpoint {
  std::string socket;
  std::string origin;         // where the choice came from, such as "DOCKER_HOST"; for error messages
  std::stop_token stop = {};  // see Engine::stop_on()
};

// Owns a hijacked stream to a container's stdin and stdout. Without a terminal, its output is multiplexed (demux.h);
// with one, it is raw.
class Attached {
 public:
  Attached(UniqueFd fd, std::string early) : fd_(std::move(fd)), early_(std::move(early)) {}
  // Returns the socket, which this object keeps owning. Closing it detaches from the container.
  int fd() const { return fd_.get(); }
  // Returns the bytes that arrived together with the head of the response. Use them before the first read.
  std::string take_early() { return std::exchange(early_, {}); }

 private:
  UniqueFd fd_;
  std::string early_;
};

// Returns the time limit of a whole call: one minute, or BOTTLE_ENGINE_TIMEOUT (in seconds), which is read once.
int call_timeout_ms();

// Every call blocks, and several threads may call at the same time. A call takes at most call_timeout_ms(); a call that
// streams may take longer, but waits at most 10 minutes at a time. No call throws. Errors contain the engine's message.
class Engine {
 public:
  using Reader = std::function<Result<size_t>(char*, size_t)>;  // returns 0 at the end
  using Writer = std::function<Result<>(std::string_view)>;
  using Json = nlohmann::json;

  virtual ~Engine() = default;

  virtual const std::string& socket() const = 0;       // the path of its socket
  virtual const std::string& api_version() const = 0;  // such as 1.41

  virtual Result<EngineInfo> info() = 0;  // the answer of GET /info

  // Makes a stop end every wait for the engine from now on, in all threads, with Code::canceled. The engine may still
  // carry out the request. An empty token reverts this, so that the caller can remove what was made.
  virtual void stop_on(std::stop_token stop) = 0;

  // Has `note` called from now on before each request that creates a container or network, on the thread that sends
  // the request, with the number of its connection (0 if unknown). The caller can pass that number to is_abandoned()
  // later.
  virtual void note_creates(std::function<Result<>(uint64_t end)> note) = 0;
  // Returns whether the engine still works on a noted request whose client is gone, or has not read it yet. Once the
  // answer is "no", the request has either been carried out or never will be.
  virtual bool is_abandoned(uint64_t end) = 0;

  // Returns the id.
  virtual Result<std::string> create_container(const std::string& name, const Json& config) = 0;
  virtual Result<> start_container(const std::string& id, int timeout_ms = 0) = 0;  // 0 means the usual time limit
  virtual Result<> stop_container(const std::string& id, int seconds) = 0;          // SIGKILL after `seconds`
  // Removes by force, with anonymous volumes. Blocks until the container is gone, and tries again for 30 s. Succeeds
  // if there is no such container.
  virtual Result<> remove_container(const std::string& name) = 0;
  // Blocks until the container has exited, and returns its status. A limit of 0 is the usual one, and -1 means none.
  virtual Result<int> wait_container(const std::string& id, int timeout_ms = 0) = 0;
  // Returns the answer of GET /containers/ID/json. Fails with Code::not_found if there is none.
  virtual Result<Json> inspect_container(const std::string& id) = 0;
  // Returns the size of a container's writable layer in bytes. The engine reads the whole layer to compute it.
  virtual Result<uint64_t> layer_size(const std::string& id) = 0;
  // Attach before starting the container, or the first output is lost. It must have been created with stdin open.
  virtual Result<Attached> attach(const std::string& id) = 0;
  // Sets the size of a container's terminal. Fails if the container does not run.
  virtual Result<> resize(const std::string& id, int rows, int cols) = 0;
  // Returns the last `lines` lines of both streams as one text of at most 1 MB, for error messages.
  virtual Result<std::string> logs(const std::string& id, int lines = 100) = 0;

  // put_archive() unpacks a tar archive below `path`, and get_archive() packs `path` into one.
  virtual Result<> put_archive(const std::string& id, const std::string& path, const Reader& reader) = 0;
  virtual Result<> get_archive(const std::string& id, const std::string& path, const Writer& writer) = 0;
  // Packs the container's whole root file system, without what is mounted in it, into a tar archive.
  virtual Result<> export_container(const std::string& id, const Writer& writer) = 0;

  // Create a network, and return its id; add a container to one, with an EndpointConfig of the API; and return the
  // answer of GET /networks/NAME. Creating fails with Code::denied if the subnet overlaps with that of another
  // network.
  virtual Result<std::string> create_network(const std::string& name, const Json& config) = 0;
  virtual Result<> connect_network(const std::string& network, const std::string& container, const Json& endpoint) = 0;
  virtual Result<Json> inspect_network(const std::string& name) = 0;
  virtual Result<> remove_network(
      const std::string& name) = 0;  // succeeds if there is none; waits while endpoints leave

  // Returns the answer of GET /volumes/NAME. Fails with Code::not_found if there is none.
  virtual Result<Json> inspect_volume(const std::string& name) = 0;
  // Succeeds if there is no such volume. Waits up to 5 s while it is in use.
  virtual Result<> remove_volume(const std::string& name) = 0;

  // Returns whether the engine has the image already. Pulls nothing.
  virtual Result<bool> image_exists(const std::string& reference) = 0;
  // Creates an image with one layer from a root file system. `changes` are Dockerfile instructions, such as
  // ENTRYPOINT ["/guard"].
  virtual Result<> import_image(const std::string& reference, const Reader& reader,
                                const std::vector<std::string>& changes) = 0;
  // Removes an image by reference or id. Fails with Code::conflict if a container uses it. Succeeds if there is none.
  virtual Result<> remove_image(const std::string& reference) = 0;
  // Adds a name, REPOSITORY:TAG, to an image. An image that had this name loses it.
  virtual Result<> tag_image(const std::string& id, const std::string& reference) = 0;
  // Returns the answer of GET /images/REFERENCE/json. Fails with Code::not_found if there is none.
  virtual Result<Json> inspect_image(const std::string& reference) = 0;
  virtual Result<Json> images() = 0;      // the answer of GET /images/json, which includes images without a tag
  virtual Result<Json> containers() = 0;  // the answer of GET /containers/json?all=1
  // These write and read the engine's own archive of an image, as `docker save` and `docker load` do.
  virtual Result<> save_image(const std::string& reference, const Writer& writer) = 0;
  virtual Result<> load_image(const Reader& reader) = 0;
  // Returns the digests of an image's layers, lowest layer first.
  virtual Result<std::vector<std::string>> layers(const std::string& reference) = 0;

  // Lists `kind`: containers (including stopped ones), networks, volumes or images. `label` is `key` or `key=value`.
  virtual Result<Json> list_by_label(const std::string& kind, const std::string& label) = 0;
};

// Connects to an engine: docker::connect() (docker/client/http_engine.h), or the replacement of a unit test.
using Connect = std::function<Result<std::unique_ptr<Engine>>(const Endpoint&)>;

}  // namespace bottle::docker
