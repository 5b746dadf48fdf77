// Parses JSON from untrusted sources. nlohmann's own parse() with a callback takes
// quadratic time, so a megabyte of "{}" would keep this program busy for many
// minutes.
#pragma once

#include <cstddef>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace bottle {

inline constexpr size_t kDeepestJson = 32;  // all JSON of ours is less deep; limits recursion over the result

// Parses one value in linear time. Fails with Code::limit if it is nested more than `depth` deep, and with
// Code::invalid if it is not JSON or if an object has a key twice, because different readers would read that
// differently.
Result<nlohmann::json> parse_json(std::string_view text, size_t depth = kDeepestJson);

// Returns whether `text` is UTF-8 (RFC 3629), so that JSON can contain it unchanged.
bool is_utf8(std::string_view text);

}  // namespace bottle
