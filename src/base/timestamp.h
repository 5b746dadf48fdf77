// Formats and reads times as in records (RFC 3339).
#pragma once

#include <ctime>
#include <optional>
#include <string>

namespace bottle {

// Returns the current time in UTC, such as "2026-01-01T00:00:00.000Z".
std::string timestamp();

// Reads a time in UTC with any number of decimals, such as 2026-11-28T12:00:00.123456789Z. Returns nothing if the text
// is not a time.
std::optional<timespec> parse_timestamp(const std::string& text);

}  // namespace bottle
