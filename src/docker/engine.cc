#include "docker/engine.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/file.h"
#include "docker/http.h"

namespace bottle::docker {
namespace {

using Json = nlohmann::json;
constexpr int kTimeoutMs = 60000;
constexpr int kNewest = 47, kOldest = 41;

std::string escaped(std::string_view text) {
  std::string out;
  for (unsigned char c : text) {
    if (std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~') {
      out += static_cast<char>(c);
    } else {
      char hex[4];
      std::snprintf(hex, sizeof hex, "%%%02X", c);
      out += hex;
    }
  }
  return out;
}

Code code_of(int status) {
  switch (status) {
    case 400: return Code::invalid;
    case 403: return Code::denied;
    case 404: return Code::not_found;
    case 409: return Code::conflict;
    case 503: return Code::unavailable;
    default: return Code::internal;
  }
}

Result<Response> checked(Result<Response> response, const std::string& doing) {
  if (!response) return std::unexpected(std::move(response.error()).during(doing));
  if (response->status < 400) return response;
  auto json = Json::parse(response->body, nullptr, false);
  std::string message = json.is_object() ? json.value("message", response->body) : response->body;
  return fail(code_of(response->status), doing + ": the engine says: " + message);
}

Result<Response> call(const std::string& socket, const std::string& method, const std::string& target, const Json& body, const std::string& doing,
                      int timeout_ms = kTimeoutMs) {
  auto response = [&]() -> Result<Response> {
    auto connection = TRY(Connection::open(socket, timeout_ms));
    TRY(connection.request(method, target, body.is_null() ? "" : "application/json", body.is_null() ? "" : body.dump()));
    return connection.response();
  }();
  return checked(std::move(response), doing);
}

Result<Json> parsed(const Response& response, const std::string& doing) {
  auto json = Json::parse(response.body, nullptr, false);
  if (json.is_discarded()) return fail(Code::protocol, doing + ": the engine's answer is no JSON");
  return json;
}

}  // namespace

Result<Engine> Engine::connect(const Endpoint& endpoint) {
  auto response = call(endpoint.socket, "GET", "/_ping", nullptr, "asking the engine for its version", 10000);
  if (!response) {
    Error error = std::move(response.error());
    error.what += " (from " + endpoint.origin + ")";
    if (error.code == Code::denied) error.todo = "add yourself to the group docker, or use a rootless engine";
    else error.todo = "is dockerd running? start it, or point DOCKER_HOST at its unix socket";
    error.code = error.code == Code::denied ? Code::denied : Code::unavailable;
    return std::unexpected(std::move(error));
  }
  std::string theirs = response->headers["api-version"];
  int minor = theirs.starts_with("1.") ? std::atoi(theirs.c_str() + 2) : 0;
  if (minor < kOldest)
    return fail(Code::invalid, "the engine at " + endpoint.socket + " speaks API " + (theirs.empty() ? "?" : theirs) + ", too old",
                "Docker 20.10 (API 1.41) or newer is needed");
  Engine engine;
  engine.socket_ = endpoint.socket;
  engine.version_ = "1." + std::to_string(std::min(minor, kNewest));
  return engine;
}

Result<Json> Engine::info() { return parsed(TRY(call(socket_, "GET", path("/info"), nullptr, "asking the engine about itself")), "info"); }

Result<std::vector<std::string>> Engine::runtimes() {
  std::vector<std::string> names;
  Json all = TRY(info());
  for (const auto& [name, value] : all["Runtimes"].items()) names.push_back(name);
  return names;
}

Result<std::string> Engine::create_container(const std::string& name, const Json& config) {
  std::string doing = "creating the container " + name;
  auto json = TRY(parsed(TRY(call(socket_, "POST", path("/containers/create?name=" + escaped(name)), config, doing)), doing));
  return json.value("Id", name);
}

Result<> Engine::connect_network(const std::string& network, const std::string& container, const Json& endpoint) {
  TRY(call(socket_, "POST", path("/networks/" + escaped(network) + "/connect"), {{"Container", container}, {"EndpointConfig", endpoint}},
           "connecting " + container + " to " + network));
  return {};
}

Result<> Engine::start_container(const std::string& id, int timeout_ms) {
  TRY(call(socket_, "POST", path("/containers/" + escaped(id) + "/start"), nullptr, "starting the container " + id, timeout_ms));
  return {};
}

Result<> Engine::stop_container(const std::string& id, int seconds) {
  TRY(call(socket_, "POST", path("/containers/" + escaped(id) + "/stop?t=" + std::to_string(seconds)), nullptr, "stopping the container " + id,
           seconds * 1000 + kTimeoutMs));
  return {};
}

Result<> Engine::remove_container(const std::string& name) {
  for (int attempt = 0;; ++attempt) {
    auto response = call(socket_, "DELETE", path("/containers/" + escaped(name) + "?force=1&v=1"), nullptr, "removing the container " + name, 30000);
    if (response || response.error().code == Code::not_found) return {};
    // "removal is already in progress": somebody else's doing, but ours to wait for.
    if (response.error().code != Code::conflict || attempt == 50) return std::unexpected(response.error());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

Result<int> Engine::wait_container(const std::string& id) {
  auto json = TRY(parsed(TRY(call(socket_, "POST", path("/containers/" + escaped(id) + "/wait"), nullptr, "waiting for " + id)), "waiting"));
  return json.value("StatusCode", 125);
}

Result<Json> Engine::inspect_container(const std::string& id) {
  return parsed(TRY(call(socket_, "GET", path("/containers/" + escaped(id) + "/json"), nullptr, "inspecting " + id)), "inspecting");
}

Result<Attached> Engine::attach(const std::string& id, bool) {
  auto connection = TRY(Connection::open(socket_, kTimeoutMs));
  TRY(connection.upgrade(path("/containers/" + escaped(id) + "/attach?stream=1&stdin=1&stdout=1&stderr=1")));
  auto head = TRY(checked(connection.head(), "attaching to " + id));
  if (head.status != 101 && head.status != 200) return fail(Code::protocol, "attaching to " + id + ": the engine answered " + std::to_string(head.status));
  std::string early = connection.rest();
  return Attached(connection.release(), std::move(early));
}

Result<> Engine::resize(const std::string& id, int rows, int cols) {
  TRY(call(socket_, "POST", path("/containers/" + escaped(id) + "/resize?h=" + std::to_string(rows) + "&w=" + std::to_string(cols)), nullptr,
           "resizing the terminal of " + id));
  return {};
}

Result<std::string> Engine::create_network(const std::string& name, const Json& config) {
  Json body = config;
  body["Name"] = name;
  std::string doing = "creating the network " + name;
  return TRY(parsed(TRY(call(socket_, "POST", path("/networks/create"), body, doing)), doing)).value("Id", name);
}

Result<Json> Engine::inspect_network(const std::string& name) {
  return parsed(TRY(call(socket_, "GET", path("/networks/" + escaped(name)), nullptr, "inspecting the network " + name)), "inspecting");
}

Result<> Engine::remove_network(const std::string& name) {
  for (int attempt = 0;; ++attempt) {
    auto response = call(socket_, "DELETE", path("/networks/" + escaped(name)), nullptr, "removing the network " + name, 30000);
    if (response || response.error().code == Code::not_found) return {};
    if (attempt == 20) return std::unexpected(response.error());  // endpoints may still be leaving
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

Result<> Engine::put_archive(const std::string& id, const std::string& where, const Reader& reader) {
  auto response = [&]() -> Result<Response> {
    auto connection = TRY(Connection::open(socket_, 600000));
    TRY(connection.upload("PUT", path("/containers/" + escaped(id) + "/archive?path=" + escaped(where)), reader));
    return connection.response();
  }();
  TRY(checked(std::move(response), "sending files to " + where));
  return {};
}

Result<> Engine::get_archive(const std::string& id, const std::string& where, const Writer& writer) {
  auto response = [&]() -> Result<Response> {
    auto connection = TRY(Connection::open(socket_, 600000));
    TRY(connection.request("GET", path("/containers/" + escaped(id) + "/archive?path=" + escaped(where)), "", ""));
    return connection.response(writer);
  }();
  TRY(checked(std::move(response), "fetching files from " + where));
  return {};
}

Result<bool> Engine::image_exists(const std::string& reference) {
  auto response = call(socket_, "GET", path("/images/" + reference + "/json"), nullptr, "looking for the image " + reference);
  if (response) return true;
  if (response.error().code == Code::not_found) return false;
  return std::unexpected(response.error());
}

Result<> Engine::import_image(const std::string& reference, const Reader& reader, const std::vector<std::string>& changes) {
  size_t colon = reference.rfind(':');
  std::string target = "/images/create?fromSrc=-&repo=" + escaped(reference.substr(0, colon)) + "&tag=" + escaped(reference.substr(colon + 1));
  for (const auto& change : changes) target += "&changes=" + escaped(change);
  auto response = [&]() -> Result<Response> {
    auto connection = TRY(Connection::open(socket_, 600000));
    TRY(connection.upload("POST", path(target), reader));
    return connection.response();
  }();
  auto done = TRY(checked(std::move(response), "importing the image " + reference));
  if (done.body.find("\"error\"") != std::string::npos) return fail(Code::internal, "importing the image " + reference + ": " + done.body);
  return {};
}

Result<Json> Engine::list_by_label(const std::string& kind, const std::string& label) {
  std::string filter = escaped(Json{{"label", {label}}}.dump());
  std::string query = kind == "containers" ? "/containers/json?all=1&filters=" : "/" + kind + "?filters=";
  auto json = TRY(parsed(TRY(call(socket_, "GET", path(query + filter), nullptr, "listing " + kind)), "listing " + kind));
  if (kind == "volumes") return json["Volumes"].is_array() ? json["Volumes"] : Json::array();
  return json;
}

}  // namespace bottle::docker
