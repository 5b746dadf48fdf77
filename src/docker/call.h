// One call of the Engine API: connects, sends the request, reads the answer, and puts the engine's message into errors.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "docker/http.h"

namespace bottle::docker {

// The time limit of a whole call: one minute, or BOTTLE_ENGINE_TIMEOUT (in seconds), which is read once.
int call_timeout_ms();
constexpr int kStreamTimeoutMs = 600000;  // one wait while a body is streamed; unpacking can take an engine minutes

// Percent-encodes every character that could end a path segment or a query value.
std::string escaped(std::string_view text);

// Receives the inode of the engine's end of a connection (abandoned.h; 0 if unknown) before a request is sent over it.
// If it fails, the call fails.
using Note = std::function<Result<>(uint64_t end)>;

// Blocks. A status below 400 is success. Otherwise the error's code follows from the status, and its text is the
// engine's message.
Result<Response> call(const Dial& dial, std::string_view method, const std::string& target, const nlohmann::json& body,
                      const std::string& doing, int timeout_ms = call_timeout_ms(), const Note& note = {});
Result<Response> call_with_upload(const Dial& dial, std::string_view method, const std::string& target,
                                  const std::function<Result<size_t>(char*, size_t)>& reader, const std::string& doing);
Result<Response> checked(Result<Response> response, const std::string& doing);
// Makes a call whose answer is a JSON object or array.
Result<nlohmann::json> call_json(const Dial& dial, std::string_view method, const std::string& target,
                                 const nlohmann::json& body, const std::string& doing,
                                 int timeout_ms = call_timeout_ms(), const Note& note = {});

// Returns a member of an answer, or null if there is none. nlohmann's own accessors throw if the type is unexpected.
const nlohmann::json& member(const nlohmann::json& object, const char* name);
std::string text_of(const nlohmann::json& object, const char* name, std::string otherwise = {});
// Returns whether the engine's /info lists a security option such as "rootless" or "seccomp".
bool has_option(const nlohmann::json& info, std::string_view name);

}  // namespace bottle::docker
