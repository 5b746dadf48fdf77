// Defines what the operator can choose for findings of the guard. The manifest, the plan and the guard share these.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace bottle::policy {

// What happens to a request that carries a secret to the wrong place, and to an answer that contains one. These go from
// the strictest to the most lenient.
enum class OnSecret : uint8_t { block, redact, warn };
// What happens to an answer that contains instructions to the agent, likewise.
enum class OnInjection : uint8_t { block, warn };

// The words for them, in the order of the enumerators.
inline constexpr const char* kOnSecret[] = {"block", "redact", "warn"};
inline constexpr const char* kOnInjection[] = {"block", "warn"};

constexpr const char* word(OnSecret what) { return kOnSecret[static_cast<size_t>(what)]; }
constexpr const char* word(OnInjection what) { return kOnInjection[static_cast<size_t>(what)]; }

}  // namespace bottle::policy
