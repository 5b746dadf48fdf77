// One call of the Engine API: connection, request, answer, the engine's own words in the error.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "docker/http.h"

namespace bottle::docker {

// A whole call: a minute, or BOTTLE_ENGINE_TIMEOUT (seconds), as it was when first asked.
int call_timeout_ms();
constexpr int kStreamTimeoutMs = 600000;  // one wait while a body is streamed; an engine may unpack for minutes

// Percent-encodes whatever could end a path segment or query value.
std::string escaped(std::string_view text);

// Told the engine's end of a connection (abandoned.h; 0: unknown) before a request goes over it. Its error ends the
// call.
using Note = std::function<Result<>(uint64_t end)>;

// Blocking. Statuses below 400 are success; else an Error whose code follows the status and whose text is the engine's.
Result<Response> call(const std::string& socket, std::string_view method, const std::string& target,
                      const nlohmann::json& body, const std::string& doing, int timeout_ms = call_timeout_ms(),
                      const Note& note = {});
Result<Response> call_with_upload(const std::string& socket, std::string_view method, const std::string& target,
                                  const std::function<Result<size_t>(char*, size_t)>& reader, const std::string& doing);
Result<Response> checked(Result<Response> response, const std::string& doing);
// A call whose answer is a JSON object or array.
Result<nlohmann::json> call_json(const std::string& socket, std::string_view method, const std::string& target,
                                 const nlohmann::json& body, const std::string& doing,
                                 int timeout_ms = call_timeout_ms(), const Note& note = {});

// A member of an answer, or null where there is none. nlohmann's own accessors throw at an unexpected type.
const nlohmann::json& member(const nlohmann::json& object, const char* name);
std::string text_of(const nlohmann::json& object, const char* name, std::string otherwise = {});
// Whether the engine's /info lists such a security option ("rootless", "seccomp").
bool has_option(const nlohmann::json& info, std::string_view name);

}  // namespace bottle::docker
