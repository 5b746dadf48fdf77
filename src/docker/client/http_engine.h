// Implements the client for the Docker Engine API over its Unix socket. Each call uses a separate connection. Source:
// the Engine API reference, v1.41 to v1.47.
#pragma once

#include "docker/client/http.h"
#include "docker/engine.h"

namespace bottle::docker {

// Connects to a real engine and negotiates the API version. Blocks. Fails with Code::unavailable, denied, or invalid
// (the engine is too old), each with advice.
Result<std::unique_ptr<Engine>> connect(const Endpoint& endpoint);

// `version` is the negotiated API version, such as "1.41". Do not call stop_on() or note_creates() while another thread
// makes a call.
class HttpEngine : public Engine {
 public:
  HttpEngine(Dial dial, std::string version) : dial_(std::move(dial)), version_(std::move(version)) {}

  const std::string& socket() const override { return dial_.socket; }
  const std::string& api_version() const override { return version_; }
  Result<EngineInfo> info() override;
  void stop_on(std::stop_token stop) override { dial_.stop = std::move(stop); }
  void note_creates(std::function<Result<>(uint64_t end)> note) override;
  bool is_abandoned(uint64_t end) override;
  Result<std::string> create_container(const std::string& name, const Json& config) override;
  Result<> start_container(const std::string& id, int timeout_ms) override;
  Result<> stop_container(const std::string& id, int seconds) override;
  Result<> remove_container(const std::string& name) override;
  Result<int> wait_container(const std::string& id, int timeout_ms) override;
  Result<Json> inspect_container(const std::string& id) override;
  Result<uint64_t> layer_size(const std::string& id) override;
  Result<Attached> attach(const std::string& id) override;
  Result<> resize(const std::string& id, int rows, int cols) override;
  Result<std::string> logs(const std::string& id, int lines) override;
  Result<> put_archive(const std::string& id, const std::string& path, const Reader& reader) override;
  Result<> get_archive(const std::string& id, const std::string& path, const Writer& writer) override;
  Result<> export_container(const std::string& id, const Writer& writer) override;
  Result<std::string> create_network(const std::string& name, const Json& config) override;
  Result<> connect_network(const std::string& network, const std::string& container, const Json& endpoint) override;
  Result<Json> inspect_network(const std::string& name) override;
  Result<> remove_network(const std::string& name) override;
  Result<Json> inspect_volume(const std::string& name) override;
  Result<> remove_volume(const std::string& name) override;
  Result<bool> image_exists(const std::string& reference) override;
  Result<> import_image(const std::string& reference, const Reader& reader,
                        const std::vector<std::string>& changes) override;
  Result<> remove_image(const std::string& reference) override;
  Result<> tag_image(const std::string& id, const std::string& reference) override;
  Result<Json> inspect_image(const std::string& reference) override;
  Result<Json> images() override;
  Result<Json> containers() override;
  Result<> save_image(const std::string& reference, const Writer& writer) override;
  Result<> load_image(const Reader& reader) override;
  Result<std::vector<std::string>> layers(const std::string& reference) override;
  Result<Json> list_by_label(const std::string& kind, const std::string& label) override;

 private:
  std::string path(const std::string& rest) const { return "/v" + version_ + rest; }

  Dial dial_;
  std::string version_;
  std::function<Result<>(uint64_t)> note_;
};

}  // namespace bottle::docker
