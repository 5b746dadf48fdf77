// Defines what the operator can choose for findings of the guard. The manifest, the plan and the guard share these.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace bottle::policy {

// Says what happens to a request that carries a secret to the wrong place. An answer that contains the value of a
// secret is always refused. The values go from the strictest to the most lenient.
enum class OnSecret : uint8_t { block, redact, warn };
// Says what happens to an answer that contains instructions to the agent, with the values in the same order.
enum class OnInjection : uint8_t { block, warn };

// These are their words, in the order of the enumerators.
inline constexpr const char* kOnSecret[] = {"block", "redact", "warn"};
inline constexpr const char* kOnInjection[] = {"block", "warn"};

constexpr const char* word(OnSecret what) { return kOnSecret[static_cast<size_t>(what)]; }
constexpr const char* word(OnInjection what) { return kOnInjection[static_cast<size_t>(what)]; }

}  // namespace bottle::policy
