// Holds the compiled limits of a configuration, and the prices for estimating costs. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "guard/budget/token_usage.h"
#include "policy/host.h"
#include "wire/guard/config.h"

namespace bottle::guard {

// Describes a limit for all hosts that a pattern matches, or for the session.
struct Limit {
  std::string of;                            // the pattern; empty for the session
  std::optional<policy::HostPattern> hosts;  // without a value, all
  wire::GuardLimit most;                     // 0 means no limit for that quantity

  // Returns whether requests to the host count for this limit.
  bool covers(const policy::Host& host) const { return !hosts || hosts->matches(host); }
  // Returns whether the limit may also cover hosts that are not counted separately.
  bool is_wide() const { return !hosts || !hosts->is_exact(); }
};

// Holds the limits, and is immutable once compiled. The Budget has a copy of the list; the prices and the hosts that
// report usage are only here.
class Limits {
 public:
  // Rules with the same host share one limit, the smallest of each quantity. Fails with Code::invalid.
  static Result<Limits> compile(const wire::GuardEgress& egress, const std::vector<policy::HostPattern>& models);

  // Returns the limits, that of the session first if there is one.
  const std::vector<Limit>& list() const { return list_; }
  // Returns whether the answers of the host say how many tokens they cost. Only the rules decide that, so that the
  // agent cannot have other answers counted.
  bool reads_usage(const policy::Host& host) const;
  // Returns the estimated cost of an answer, in millionths of the currency of the prices, rounded up. Returns 0 without
  // prices. The name that fits best has the price; for a model without a price, the highest price of each kind counts.
  uint64_t cost(std::string_view model, const TokenUsage& usage) const;

 private:
  void add(const std::string& of, std::optional<policy::HostPattern> hosts, const wire::GuardLimit& most);

  std::vector<Limit> list_;
  std::vector<policy::HostPattern> metered_;
  std::vector<wire::GuardPrice> prices_;
};

}  // namespace bottle::guard
