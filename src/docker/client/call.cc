// Every call of the client goes through here, so that all errors have the same form: first the action, then the
// engine's message. A call opens a new connection and lets the engine close it, because a kept connection would add a
// case to every call: the engine may close it while the request is under way.

#include "docker/client/call.h"

#include <cstdio>

#include "docker/answers.h"
#include "docker/client/abandoned.h"

namespace bottle::docker {
namespace {

using Json = nlohmann::json;

// Maps the statuses that the Engine API documents for its calls. 500 stays `internal`, after which callers that wait
// for busy things try again.
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

// Keeps only the unreserved characters (RFC 3986, section 2.3).
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

Result<Response> checked(Result<Response> answer, const std::string& doing) {
  Response response = TRY(during(doing, std::move(answer)));
  if (response.status < 400) return response;
  // The engine explains errors as {"message": "…"}. A proxy in front of it may answer with any text.
  std::string message = text_of(Json::parse(response.body, nullptr, false), "message", response.body.substr(0, 2000));
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  if (message.empty()) message = "status " + std::to_string(response.status);
  return fail(code_of(response.status), doing + ": the engine says: " + message);
}

// The lambda collects all errors of the connection, so that checked() can add the action to each of them.
Result<Response> call(const Dial& dial, std::string_view method, const std::string& target, const Json& body,
                      const std::string& doing, int timeout_ms, const Note& note) {
  auto response = [&]() -> Result<Response> {
    std::string text;
    if (!body.is_null()) {
      // A path or a label may not be UTF-8. We refuse it, because sending a changed text would be worse. The two
      // encodings are equal only if the text is valid.
      text = body.dump(-1, ' ', false, Json::error_handler_t::ignore);
      if (text != body.dump(-1, ' ', false, Json::error_handler_t::replace))
        return fail(Code::invalid, "a text in the request is not UTF-8");
    }
    auto connection = TRY(Connection::open(dial, timeout_ms));
    // The order matters: the ledger must name the connection before the engine can read the request from it, because
    // this process may be killed at any moment after that.
    if (note) TRY(note(TRY(other_end(connection.fd(), timeout_ms, dial.stop))));
    TRY(connection.request(
        {.method = method, .target = target, .type = body.is_null() ? "" : "application/json", .body = text}));
    return connection.response();
  }();
  return checked(std::move(response), doing);
}

Result<Response> call_with_upload(const Dial& dial, std::string_view method, const std::string& target,
                                  const std::function<Result<size_t>(char*, size_t)>& reader,
                                  const std::string& doing) {
  auto response = [&]() -> Result<Response> {
    // A stream may pause while the engine unpacks, so its waits have the longer limit.
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
  // An empty answer and plain text also fail here.
  if (!json.is_object() && !json.is_array()) return fail(Code::protocol, doing + ": the engine's answer is not JSON");
  return json;
}

}  // namespace bottle::docker
