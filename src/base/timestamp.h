// Formats the time for records.
#pragma once

#include <string>

namespace bottle {

// Returns the current time in UTC, such as "2026-01-01T00:00:00.000Z".
std::string timestamp();

}  // namespace bottle
