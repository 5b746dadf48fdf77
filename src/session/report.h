// The self-test's report (ARCHITECTURE.md, "The gate"). It comes out of a container whose image may be
// anybody's.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"

namespace bottle::session {

// Strict. The result has "ok" (true only if there are probes and each passed, whatever the report says of
// itself), "probes" (each with name, ok, detail) and "what"; texts without control characters and bounded.
// Anything else is Code::protocol.
Result<nlohmann::json> read_report(std::string_view text);

// "gateway: reachable; metadata: …" for the probes of a report that failed.
std::string surprises(const nlohmann::json& report);

}  // namespace bottle::session
