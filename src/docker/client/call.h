// Makes one call of the Engine API: it connects, sends the request, reads the answer, and adds the engine's message
// to errors.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "docker/client/http.h"
#include "docker/engine.h"

namespace bottle::docker {

// The limit for each wait while a body is streamed. Unpacking can take an engine minutes.
constexpr int kStreamTimeoutMs = 600000;

// Percent-encodes every character that could end a path segment or a query value.
std::string escaped(std::string_view text);

// Receives the inode of the engine's end of a connection (abandoned.h; 0 if unknown) before a request is sent over it.
// If it fails, the call fails.
using Note = std::function<Result<>(uint64_t end)>;

// Make one call. Both block. A status below 400 is success. Otherwise, the error's code depends on the status, and its
// text contains the engine's message.
Result<Response> call(const Dial& dial, std::string_view method, const std::string& target, const nlohmann::json& body,
                      const std::string& doing, int timeout_ms = call_timeout_ms(), const Note& note = {});
Result<Response> call_with_upload(const Dial& dial, std::string_view method, const std::string& target,
                                  const std::function<Result<size_t>(char*, size_t)>& reader, const std::string& doing);
// Turns an answer with a status of 400 or more into an error, as call() does. Used for calls that use the connection
// directly.
Result<Response> checked(Result<Response> response, const std::string& doing);
// Makes a call whose answer is a JSON object or array.
Result<nlohmann::json> call_json(const Dial& dial, std::string_view method, const std::string& target,
                                 const nlohmann::json& body, const std::string& doing,
                                 int timeout_ms = call_timeout_ms(), const Note& note = {});

}  // namespace bottle::docker
