// Defines the messages in which a guard and its owner exchange the limits of a session and what it has used
// (docs/guard.md, "Budgets").
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Names the quantities that have limits, as in the manifest.
enum class Quantity : uint8_t { requests, bytes_up, names, tokens, cost };
inline constexpr std::array kQuantities = {"requests", "bytes_up", "names", "tokens", "cost"};

// Holds the most that may be used of each quantity; 0 means no limit. The cost is in millionths of the currency of
// the prices.
struct GuardLimit {
  std::array<uint64_t, kQuantities.size()> most{};
  // any() returns whether anything is limited.
  uint64_t& of(Quantity quantity) { return most[static_cast<size_t>(quantity)]; }
  uint64_t of(Quantity quantity) const { return most[static_cast<size_t>(quantity)]; }
  bool any() const { return *this != GuardLimit(); }
  bool operator==(const GuardLimit&) const = default;
};
void fields(Object& o, GuardLimit& limit);

// Holds the prices of a million tokens, for the models with this name. A name that ends with a star is a prefix.
struct GuardPrice {
  std::string model;
  double input = 0, output = 0, cache_read = 0, cache_write = 0;
  bool operator==(const GuardPrice&) const = default;
};
void fields(Object& o, GuardPrice& price);

// Says how much of a host the session has used since it began.
struct HostUsage {
  std::string host;    // kOtherHosts for all hosts beyond those that are counted separately
  uint64_t names = 1;  // how many hosts this represents
  uint64_t requests = 0, bytes_up = 0;
  uint64_t tokens_in = 0, tokens_out = 0;
  uint64_t cost = 0;  // as in GuardLimit
  bool operator==(const HostUsage&) const = default;
};
inline constexpr const char* kOtherHosts = "(others)";
void fields(Object& o, HostUsage& usage);

// Reports the hosts whose usage has changed, with the totals of each.
struct Usage {
  static constexpr const char* kType = "usage";
  static constexpr size_t kMostHosts = 1000;
  std::vector<HostUsage> hosts;
};

// Holds what a session has used, as a near side keeps it for the next one.
struct KeptUsage {
  static constexpr const char* kName = "session's usage";
  static constexpr size_t kMost = 8 << 20;
  std::vector<HostUsage> hosts;
};
void fields(Object& o, KeptUsage& kept);

// Reports that the guard has refused something because of a limit. The guard sends it once until the limit changes.
struct LimitHit {
  static constexpr const char* kType = "limit";
  std::string of;  // the host of the rule; empty for the session
  Quantity limit = Quantity::requests;
  uint64_t most = 0;
};

}  // namespace bottle::wire
