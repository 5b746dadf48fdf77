// Implements the calls for networks and volumes.
#include <algorithm>
#include <chrono>
#include <thread>

#include "docker/answers.h"
#include "docker/client/call.h"
#include "docker/client/http_engine.h"

namespace bottle::docker {
namespace {

// Deletes a network or volume, and succeeds if there is none. While it is in use (403 for a network with endpoints, 409
// for a volume), it tries again, because containers that use it may be about to end.
Result<> remove_patiently(const Dial& dial, const std::string& target, const std::string& doing,
                          int timeout_ms = call_timeout_ms()) {
  for (int attempt = 0;; ++attempt) {
    auto done = call(dial, "DELETE", target, nullptr, doing, timeout_ms);
    if (done || done.error().code == Code::not_found) return {};
    // 500 also means that the engine is just removing something that it depends on.
    bool passing =
        done.error().code == Code::denied || done.error().code == Code::conflict || done.error().code == Code::internal;
    // Five short pauses and 45 of 0.1 s make about 5 s.
    if (!passing || attempt == 50) return std::unexpected(std::move(done.error()));
    std::this_thread::sleep_for(std::chrono::milliseconds(attempt < 5 ? 20 : 100));
  }
}

}  // namespace

Result<std::string> HttpEngine::create_network(const std::string& name, const Json& config) {
  Json body = config.is_object() ? config : Json::object();
  // This replaces a name that the configuration may have.
  body["Name"] = name;
  return text_of(TRY(call_json(dial_, "POST", path("/networks/create"), body, "creating the network " + name,
                               call_timeout_ms(), note_)),
                 "Id", name);
}

Result<> HttpEngine::connect_network(const std::string& network, const std::string& container, const Json& endpoint) {
  TRY(call(dial_, "POST", path("/networks/" + escaped(network) + "/connect"),
           {{"Container", container}, {"EndpointConfig", endpoint}}, "connecting " + container + " to " + network));
  return {};
}

Result<Engine::Json> HttpEngine::inspect_network(const std::string& name) {
  return call_json(dial_, "GET", path("/networks/" + escaped(name)), nullptr, "inspecting the network " + name);
}

Result<> HttpEngine::remove_network(const std::string& name) {
  return remove_patiently(dial_, path("/networks/" + escaped(name)), "removing the network " + name);
}

Result<Engine::Json> HttpEngine::inspect_volume(const std::string& name) {
  return call_json(dial_, "GET", path("/volumes/" + escaped(name)), nullptr, "inspecting the volume " + name);
}

Result<> HttpEngine::remove_volume(const std::string& name) {
  return remove_patiently(
      dial_, path("/volumes/" + escaped(name)), "removing the volume " + name,
      std::max(call_timeout_ms(), kStreamTimeoutMs));  // removing 100,000 files takes minutes on some disks
}

}  // namespace bottle::docker
