// Implements the calls for images. Importing and loading have a peculiarity: the engine sends the status 200 as soon
// as it begins to read, so it can report a failure only later, in a line of the body. A client that checked only the
// status would report a broken image as loaded.

#include "base/text/words.h"
#include "docker/answers.h"
#include "docker/client/call.h"
#include "docker/client/http_engine.h"

namespace bottle::docker {
namespace {

// Returns the failure that an answer with status 200 reports in one of its JSON lines, after lines about progress.
Result<> failure_in(const std::string& body, const std::string& doing) {
  for (std::string_view line : each_line(body)) {
    // A line that is not JSON is skipped, because a failure is always reported as JSON.
    auto said = Engine::Json::parse(line, nullptr, false);
    // Old engines have the text twice. New ones leave out `error`, which the API has deprecated.
    std::string error = text_of(said, "error", text_of(member(said, "errorDetail"), "message"));
    if (error.empty() && !member(said, "errorDetail").is_null()) error = "it failed, without saying why";
    if (!error.empty()) return fail(Code::internal, doing + ": the engine says: " + error);
  }
  return {};
}

}  // namespace

Result<bool> HttpEngine::image_exists(const std::string& reference) {
  auto response = call(dial_, "GET", path("/images/" + escaped(reference) + "/json"), nullptr,
                       "looking for the image " + reference);
  if (response) return true;
  // Only "not found" means that there is no image. After any other failure, the answer is unknown.
  if (response.error().code == Code::not_found) return false;
  return std::unexpected(std::move(response.error()));
}

Result<Engine::Json> HttpEngine::inspect_image(const std::string& reference) {
  return call_json(dial_, "GET", path("/images/" + escaped(reference) + "/json"), nullptr,
                   "looking at the image " + reference);
}

Result<Engine::Json> HttpEngine::images() {
  return call_json(dial_, "GET", path("/images/json"), nullptr, "listing images");
}

Result<Engine::Json> HttpEngine::containers() {
  return call_json(dial_, "GET", path("/containers/json?all=1"), nullptr, "listing containers");
}

Result<> HttpEngine::import_image(const std::string& reference, const Reader& reader,
                                  const std::vector<std::string>& changes) {
  // The tag follows the last colon, unless that colon precedes the port of a host.
  size_t colon = reference.rfind(':');
  if (colon != std::string::npos && reference.find('/', colon) != std::string::npos) colon = std::string::npos;
  std::string tag = colon == std::string::npos ? "latest" : reference.substr(colon + 1);
  // `fromSrc=-` tells the engine that the body of the request is the root file system.
  std::string target = "/images/create?fromSrc=-&repo=" + escaped(reference.substr(0, colon)) + "&tag=" + escaped(tag);
  for (const auto& change : changes) target += "&changes=" + escaped(change);
  std::string doing = "importing the image " + reference;
  auto done = TRY(call_with_upload(dial_, "POST", path(target), reader, doing));
  return failure_in(done.body, doing);
}

Result<> HttpEngine::remove_image(const std::string& reference) {
  // If the image has other names, the engine only removes this one.
  auto done = call(dial_, "DELETE", path("/images/" + escaped(reference)), nullptr, "removing the image " + reference);
  if (!done && done.error().code != Code::not_found) return std::unexpected(std::move(done.error()));
  return {};
}

Result<> HttpEngine::tag_image(const std::string& id, const std::string& reference) {
  // The reference has a tag, which follows its last colon.
  size_t colon = reference.rfind(':');
  TRY(call(dial_, "POST",
           path("/images/" + escaped(id) + "/tag?repo=" + escaped(reference.substr(0, colon)) +
                "&tag=" + escaped(colon == std::string::npos ? "latest" : reference.substr(colon + 1))),
           nullptr, "naming the image " + id));
  return {};
}

Result<> HttpEngine::save_image(const std::string& reference, const Writer& writer) {
  auto response = [&]() -> Result<Response> {
    auto connection = TRY(Connection::open(dial_, kStreamTimeoutMs));
    TRY(connection.request({.method = "GET", .target = path("/images/" + escaped(reference) + "/get")}));
    return connection.response(writer);
  }();
  TRY(checked(std::move(response), "saving the image " + reference));
  return {};
}

Result<> HttpEngine::load_image(const Reader& reader) {
  std::string doing = "loading an image";
  // `quiet` leaves out the lines about progress.
  auto done = TRY(call_with_upload(dial_, "POST", path("/images/load?quiet=1"), reader, doing));
  return failure_in(done.body, doing);
}

Result<std::vector<std::string>> HttpEngine::layers(const std::string& reference) {
  Json image = TRY(inspect_image(reference));
  std::vector<std::string> layers;
  if (const auto& list = member(member(image, "RootFS"), "Layers"); list.is_array())
    for (const auto& layer : list)
      if (layer.is_string()) layers.push_back(layer);
  return layers;
}

}  // namespace bottle::docker
