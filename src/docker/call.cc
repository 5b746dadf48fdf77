#include "docker/call.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "docker/abandoned.h"

namespace bottle::docker {
namespace {

using Json = nlohmann::json;

Code code_of(int status) {
  switch (status) {
    case 400:
      return Code::invalid;
    case 401:
    case 403:
      return Code::denied;
    case 404:
      return Code::not_found;
    case 409:
      return Code::conflict;
    case 503:
      return Code::unavailable;
    default:
      return Code::internal;
  }
}

}  // namespace

int call_timeout_ms() {
  static const int limit = [] {
    const char* seconds = std::getenv("BOTTLE_ENGINE_TIMEOUT");
    int n = seconds ? std::atoi(seconds) : 0;
    return n > 0 ? std::min(n, 3600) * 1000 : 60000;
  }();
  return limit;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (unsigned char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
        c == '.' || c == '~') {
      out += static_cast<char>(c);
    } else {
      char hex[4];
      std::snprintf(hex, sizeof hex, "%%%02X", c);
      out += hex;
    }
  }
  return out;
}

const Json& member(const Json& object, const char* name) {
  static const Json none;
  if (!object.is_object()) return none;
  auto it = object.find(name);
  return it == object.end() ? none : *it;
}

std::string text_of(const Json& object, const char* name, std::string otherwise) {
  const Json& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : otherwise;
}

bool has_option(const Json& info, std::string_view name) {
  const Json& options = member(info, "SecurityOptions");
  return std::any_of(options.begin(), options.end(), [&](const Json& option) {
    return option.is_string() && option.get<std::string>().find("name=" + std::string(name)) != std::string::npos;
  });
}

Result<Response> checked(Result<Response> response, const std::string& doing) {
  if (!response) return std::unexpected(std::move(response.error()).during(doing));
  if (response->status < 400) return response;
  std::string message = text_of(Json::parse(response->body, nullptr, false), "message", response->body.substr(0, 2000));
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  if (message.empty()) message = "status " + std::to_string(response->status);
  return fail(code_of(response->status), doing + ": the engine says: " + message);
}

Result<Response> call(const Dial& dial, std::string_view method, const std::string& target, const Json& body,
                      const std::string& doing, int timeout_ms, const Note& note) {
  auto response = [&]() -> Result<Response> {
    std::string text;
    if (!body.is_null()) {
      // A path or a label that is not UTF-8. We refuse it, because sending other text than asked for would be worse.
      text = body.dump(-1, ' ', false, Json::error_handler_t::ignore);
      if (text != body.dump(-1, ' ', false, Json::error_handler_t::replace))
        return fail(Code::invalid, "a text in the request is not UTF-8");
    }
    auto connection = TRY(Connection::open(dial, timeout_ms));
    if (note) TRY(note(TRY(other_end(connection.fd(), timeout_ms, dial.stop))));
    TRY(connection.request(method, target, body.is_null() ? "" : "application/json", text));
    return connection.response();
  }();
  return checked(std::move(response), doing);
}

Result<Response> call_with_upload(const Dial& dial, std::string_view method, const std::string& target,
                                  const std::function<Result<size_t>(char*, size_t)>& reader,
                                  const std::string& doing) {
  auto response = [&]() -> Result<Response> {
    auto connection = TRY(Connection::open(dial, kStreamTimeoutMs));
    TRY(connection.upload(method, target, reader));
    return connection.response();
  }();
  return checked(std::move(response), doing);
}

Result<Json> call_json(const Dial& dial, std::string_view method, const std::string& target, const Json& body,
                       const std::string& doing, int timeout_ms, const Note& note) {
  auto response = TRY(call(dial, method, target, body, doing, timeout_ms, note));
  auto json = Json::parse(response.body, nullptr, false);
  if (!json.is_object() && !json.is_array()) return fail(Code::protocol, doing + ": the engine's answer is not JSON");
  return json;
}

}  // namespace bottle::docker
