// What a session has used, and the limits for it, as a guard and its owner tell each other (docs/guard.md, "Budgets").
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "wire/codec/codec.h"

namespace bottle::wire {

// What has a limit. The names are those of the manifest.
enum class Quantity : uint8_t { requests, bytes_up, names, tokens, cost };
inline constexpr std::array kQuantities = {"requests", "bytes_up", "names", "tokens", "cost"};

// The most that may be used of each quantity; 0 means no limit. The cost is in millionths of the currency of the
// prices.
struct GuardLimit {
  std::array<uint64_t, kQuantities.size()> most{};
  uint64_t& of(Quantity quantity) { return most[static_cast<size_t>(quantity)]; }
  uint64_t of(Quantity quantity) const { return most[static_cast<size_t>(quantity)]; }
  bool any() const { return *this != GuardLimit(); }
  bool operator==(const GuardLimit&) const = default;
};
void fields(Object& o, GuardLimit& limit);

// The prices of a million tokens of the models with this name, or, with a star at its end, with this beginning.
struct GuardPrice {
  std::string model;
  double input = 0, output = 0, cache_read = 0, cache_write = 0;
  bool operator==(const GuardPrice&) const = default;
};
void fields(Object& o, GuardPrice& price);

// What was used of a host since the session began.
struct HostUsage {
  std::string host;    // kOtherHosts for all hosts beyond the most that are told apart
  uint64_t names = 1;  // how many hosts this stands for
  uint64_t requests = 0, bytes_up = 0;
  uint64_t tokens_in = 0, tokens_out = 0;
  uint64_t cost = 0;  // as in GuardLimit
  bool operator==(const HostUsage&) const = default;
};
inline constexpr const char* kOtherHosts = "(others)";
void fields(Object& o, HostUsage& usage);

// From the guard: the hosts whose usage has changed, with all that was used of each.
struct Usage {
  static constexpr const char* kType = "usage";
  static constexpr size_t kMostHosts = 1000;
  std::vector<HostUsage> hosts;
};

// From the guard: it has refused something because of a limit. The guard says so once, until the limit changes.
struct LimitHit {
  static constexpr const char* kType = "limit";
  std::string of;  // the host of the rule; empty for the session
  Quantity limit = Quantity::requests;
  uint64_t most = 0;
};

}  // namespace bottle::wire
