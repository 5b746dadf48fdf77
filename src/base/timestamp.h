// Formats the time as it appears in records.
#pragma once

#include <string>

namespace bottle {

// Returns the current time, such as "2026-01-01T00:00:00.000Z".
std::string timestamp();

}  // namespace bottle
