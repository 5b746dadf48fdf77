// JSON that a stranger wrote. nlohmann's own parse() with a callback takes quadratic time, so that a megabyte of "{}"
// would hold this program for many minutes.
#pragma once

#include <cstddef>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace bottle {

inline constexpr size_t kDeepestJson = 32;  // deeper than any of ours: a recursion over what was read ends here

// One value, nested `depth` deep at most, in linear time. Code::limit: it is deeper. Code::invalid: it is not JSON, or
// an object has a key twice, which would mean two things to two readers.
Result<nlohmann::json> parse_json(std::string_view text, size_t depth = kDeepestJson);

// Whether `text` is UTF-8 (RFC 3629) and can stand in JSON as it is.
bool is_utf8(std::string_view text);

}  // namespace bottle
