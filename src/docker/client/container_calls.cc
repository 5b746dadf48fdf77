// Implements the calls for containers. Removing waits, because a session ends only when its things are gone, and an
// engine refuses for a moment while another client removes the same container or while a mount is still busy. Streams
// pass through a function of the caller piece by piece, because an archive may be larger than the memory.

#include <chrono>
#include <thread>

#include "base/os/deadline.h"
#include "docker/answers.h"
#include "docker/client/call.h"
#include "docker/client/http_engine.h"

namespace bottle::docker {
namespace {
// The limit of a log, in bytes. A log is used only in messages, and its end explains a failure best.
constexpr size_t kLogLimit = 1 << 20;
}  // namespace

Result<std::string> HttpEngine::create_container(const std::string& name, const Json& config) {
  // The name also identifies a container, so it is used if an engine leaves out the id.
  return text_of(TRY(call_json(dial_, "POST", path("/containers/create?name=" + escaped(name)), config,
                               "creating the container " + name, call_timeout_ms(), note_)),
                 "Id", name);
}

Result<> HttpEngine::start_container(const std::string& id, int timeout_ms) {
  TRY(call(dial_, "POST", path("/containers/" + escaped(id) + "/start"), nullptr, "starting the container " + id,
           timeout_ms > 0 ? timeout_ms : call_timeout_ms()));
  return {};
}

Result<> HttpEngine::stop_container(const std::string& id, int seconds) {
  // The engine answers only after the container has stopped.
  TRY(call(dial_, "POST", path("/containers/" + escaped(id) + "/stop?t=" + std::to_string(seconds)), nullptr,
           "stopping the container " + id, seconds * 1000 + call_timeout_ms()));
  return {};
}

Result<> HttpEngine::remove_container(const std::string& name) {
  auto deadline = Deadline::in(std::chrono::seconds(30));
  for (int pause_ms = 20;; pause_ms = std::min(pause_ms * 2, 500)) {
    // `force` ends a container that runs, and `v` removes the anonymous volumes that its image declares.
    auto done = call(dial_, "DELETE", path("/containers/" + escaped(name) + "?force=1&v=1"), nullptr,
                     "removing the container " + name);
    if (done || done.error().code == Code::not_found) return {};
    // 409 means that another client is removing the container, so we wait for that. 500 means that a mount is busy.
    bool passing = done.error().code == Code::conflict || done.error().code == Code::internal;
    if (!passing || deadline.is_over()) return std::unexpected(std::move(done.error()));
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
  }
}

Result<int> HttpEngine::wait_container(const std::string& id, int timeout_ms) {
  // An int of milliseconds cannot hold much more.
  constexpr int kForEverMs = 1 << 30;  // about twelve days
  std::string doing = "waiting for the container " + id;
  Json json = TRY(call_json(dial_, "POST", path("/containers/" + escaped(id) + "/wait"), nullptr, doing,
                            timeout_ms < 0 ? kForEverMs
                            : timeout_ms   ? timeout_ms
                                           : call_timeout_ms()));
  // The engine can fail to wait after it has already answered with status 200.
  if (std::string error = text_of(member(json, "Error"), "Message"); !error.empty())
    return fail(Code::internal, doing + ": the engine says: " + error);
  const Json& status = member(json, "StatusCode");
  if (!status.is_number_integer()) return fail(Code::protocol, doing + ": the engine did not report a status");
  return status.get<int>();
}

Result<Engine::Json> HttpEngine::inspect_container(const std::string& id) {
  return call_json(dial_, "GET", path("/containers/" + escaped(id) + "/json"), nullptr,
                   "inspecting the container " + id);
}

Result<uint64_t> HttpEngine::layer_size(const std::string& id) {
  std::string doing = "measuring the layer of the container " + id;
  Json container = TRY(call_json(dial_, "GET", path("/containers/" + escaped(id) + "/json?size=1"), nullptr, doing));
  const Json& size = member(container, "SizeRw");
  // An engine leaves this out for a layer to which nothing was written.
  if (size.is_null()) return 0;
  if (!size.is_number_unsigned()) return fail(Code::protocol, doing + ": the engine did not report its size");
  return size.get<uint64_t>();
}

Result<Attached> HttpEngine::attach(const std::string& id) {
  std::string doing = "attaching to the container " + id;
  // The limit is for the handshake only; release() removes it.
  auto connection = TRY(Connection::open(dial_, call_timeout_ms()));
  TRY(connection.upgrade(path("/containers/" + escaped(id) + "/attach?stream=1&stdin=1&stdout=1&stderr=1")));
  // Only the head is read: after an upgrade, what follows belongs to the stream.
  auto head = connection.head();
  // The body of an answer that refuses has the engine's message for checked().
  if (head && head->status >= 400) TRY(during(doing, connection.body(*head)));
  auto answer = TRY(checked(std::move(head), doing));
  // 200 instead of 101 means that something between us and the engine dropped the Upgrade header.
  if (answer.status != 101 && answer.status != 200)
    return fail(Code::protocol, doing + ": the engine answered " + std::to_string(answer.status));
  // A container that runs already may have written output, which can arrive in the same read as the head.
  std::string early = connection.rest();
  return Attached(connection.release(), std::move(early));
}

Result<> HttpEngine::resize(const std::string& id, int rows, int cols) {
  TRY(call(dial_, "POST",
           path("/containers/" + escaped(id) + "/resize?h=" + std::to_string(rows) + "&w=" + std::to_string(cols)),
           nullptr, "resizing the terminal of " + id));
  return {};
}

Result<std::string> HttpEngine::logs(const std::string& id, int lines) {
  std::string doing = "reading the log of " + id;
  Json container = TRY(inspect_container(id));
  // With a terminal, the log is raw bytes. Without one, it is framed.
  bool terminal = member(member(container, "Config"), "Tty") == true;
  std::string text;
  Demux demux;
  auto keep = [&](std::string_view bytes) {
    text += bytes;
    // Cuts only when the text has doubled, so that each byte is moved about once.
    if (text.size() > 2 * kLogLimit) text.erase(0, text.size() - kLogLimit);
  };
  auto response = [&]() -> Result<Response> {
    auto connection = TRY(Connection::open(dial_, call_timeout_ms()));
    TRY(connection.request(
        {.method = "GET",
         .target = path("/containers/" + escaped(id) + "/logs?stdout=1&stderr=1&tail=" + std::to_string(lines))}));
    return connection.response([&](std::string_view bytes) -> Result<> {
      if (!terminal) return demux.feed(bytes, [&](int, std::string_view chunk) { keep(chunk); });
      keep(bytes);
      return {};
    });
  }();
  TRY(checked(std::move(response), doing));
  if (text.size() > kLogLimit) text.erase(0, text.size() - kLogLimit);
  return text;
}

// The engine unpacks with the owners and modes that the archive has.
Result<> HttpEngine::put_archive(const std::string& id, const std::string& where, const Reader& reader) {
  TRY(call_with_upload(dial_, "PUT", path("/containers/" + escaped(id) + "/archive?path=" + escaped(where)), reader,
                       "sending files to " + where));
  return {};
}

Result<> HttpEngine::get_archive(const std::string& id, const std::string& where, const Writer& writer) {
  auto response = [&]() -> Result<Response> {
    auto connection = TRY(Connection::open(dial_, kStreamTimeoutMs));
    TRY(connection.request(
        {.method = "GET", .target = path("/containers/" + escaped(id) + "/archive?path=" + escaped(where))}));
    return connection.response(writer);
  }();
  TRY(checked(std::move(response), "fetching files from " + where));
  return {};
}

Result<> HttpEngine::export_container(const std::string& id, const Writer& writer) {
  auto response = [&]() -> Result<Response> {
    auto connection = TRY(Connection::open(dial_, kStreamTimeoutMs));
    TRY(connection.request({.method = "GET", .target = path("/containers/" + escaped(id) + "/export")}));
    return connection.response(writer);
  }();
  TRY(checked(std::move(response), "exporting the files of container " + id));
  return {};
}

}  // namespace bottle::docker
