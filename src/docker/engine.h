// The Docker Engine API over its unix socket. Every call blocks and has a connection of its own, so that threads may
// call at once. Source: the Engine API reference, v1.41.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle::docker {

struct Endpoint {
  std::string socket;
  std::string origin;  // why this one; for error messages
};

// DOCKER_HOST, the current docker context, then the usual sockets (Docker, rootless, Desktop, Podman).
Result<Endpoint> find_endpoint(const std::map<std::string, std::string>& environment);

// A hijacked stream to a container's stdin and stdout.
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

// Splits the engine's multiplexed stream (8-byte headers) of a container without a terminal.
class Demux {
 public:
  Result<> feed(std::string_view bytes, const std::function<void(int stream, std::string_view chunk)>& take);

 private:
  std::string header_;
  int stream_ = 0;
  size_t left_ = 0;
};

class Engine {
 public:
  using Reader = std::function<Result<size_t>(char*, size_t)>;  // 0: the end
  using Writer = std::function<Result<>(std::string_view)>;
  using Json = nlohmann::json;

  // Negotiates the API version; Code::unavailable, denied or invalid (too old), each with what to do.
  static Result<Engine> connect(const Endpoint& endpoint);
  const std::string& socket() const { return socket_; }

  Result<Json> info();
  Result<std::vector<std::string>> runtimes();
  Result<std::string> create_container(const std::string& name, const Json& config);
  Result<> connect_network(const std::string& network, const std::string& container, const Json& endpoint);
  Result<> start_container(const std::string& id, int timeout_ms = 60000);
  Result<> stop_container(const std::string& id, int seconds);
  Result<> remove_container(const std::string& name);  // force, with anonymous volumes; not there: success
  Result<int> wait_container(const std::string& id);
  Result<Json> inspect_container(const std::string& id);
  Result<Attached> attach(const std::string& id, bool terminal);
  Result<> resize(const std::string& id, int rows, int cols);
  Result<std::string> create_network(const std::string& name, const Json& config);
  Result<Json> inspect_network(const std::string& name);
  Result<> remove_network(const std::string& name);  // not there: success
  Result<> put_archive(const std::string& id, const std::string& path, const Reader& reader);
  Result<> get_archive(const std::string& id, const std::string& path, const Writer& writer);
  Result<bool> image_exists(const std::string& reference);
  Result<> import_image(const std::string& reference, const Reader& reader, const std::vector<std::string>& changes);
  Result<Json> list_by_label(const std::string& kind, const std::string& label);  // containers | networks | volumes

 private:
  std::string socket_, version_;
  std::string path(const std::string& rest) const { return "/v" + version_ + rest; }
};

}  // namespace bottle::docker
