// The time as records state it.
#pragma once

#include <string>

namespace bottle {

// Returns the present time, "2026-01-01T00:00:00.000Z".
std::string timestamp();

}  // namespace bottle
