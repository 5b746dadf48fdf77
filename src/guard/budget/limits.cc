// Compiles the limits and prices of a configuration. Limits are kept by the text of their pattern, because rules with
// the same pattern share one account. Costs are computed in millionths of the currency, which a price for a million
// tokens turns into a simple product.
#include "guard/budget/limits.h"

#include <algorithm>
#include <cmath>

namespace bottle::guard {
namespace {

// Returns how many characters of the name fit the price's pattern, or nothing if it does not fit.
std::optional<size_t> fit(const wire::GuardPrice& price, std::string_view model) {
  std::string_view name = price.model;
  // This is one more than for a pattern of the same length, so that the full name wins.
  if (!name.ends_with('*')) return name == model ? std::optional(name.size() + 1) : std::nullopt;
  name.remove_suffix(1);
  return model.starts_with(name) ? std::optional(name.size()) : std::nullopt;
}

}  // namespace

// Adds a limit. If the same hosts have one already, keeps the smaller number of each quantity; 0 means no limit.
void Limits::add(const std::string& of, std::optional<policy::HostPattern> hosts, const wire::GuardLimit& most) {
  if (!most.any()) return;
  auto same = std::ranges::find(list_, of, &Limit::of);
  if (same == list_.end()) {
    list_.push_back({of, std::move(hosts), most});
    return;
  }
  for (size_t i = 0; i < most.most.size(); ++i) {
    uint64_t& kept = same->most.most[i];
    if (most.most[i] && (!kept || most.most[i] < kept)) kept = most.most[i];
  }
}

Result<Limits> Limits::compile(const wire::GuardEgress& egress, const std::vector<policy::HostPattern>& models) {
  Limits limits;
  limits.metered_ = models;
  limits.add("", {}, egress.limit);
  for (const auto& rule : egress.allow) {
    if (!rule.limit.any() && !rule.reads_usage) continue;
    auto hosts = TRY(policy::HostPattern::compile(rule.host));
    if (rule.reads_usage) limits.metered_.push_back(hosts);
    limits.add(rule.host, std::move(hosts), rule.limit);
  }
  for (const auto& price : egress.prices) {
    for (double each : {price.input, price.output, price.cache_read, price.cache_write})
      // In this form, the condition also refuses NaN.
      if (!(each >= 0 && each <= 1e6)) return fail(Code::invalid, "the price of " + price.model + " is not valid");
    limits.prices_.push_back(price);
  }
  return limits;
}

bool Limits::reads_usage(const policy::Host& host) const {
  return std::ranges::any_of(metered_, [&](const auto& pattern) { return pattern.matches(host); });
}

uint64_t Limits::cost(std::string_view model, const TokenUsage& usage) const {
  wire::GuardPrice highest;
  const wire::GuardPrice* best = nullptr;
  size_t best_fit = 0;
  for (const auto& price : prices_) {
    highest.input = std::max(highest.input, price.input);
    highest.output = std::max(highest.output, price.output);
    highest.cache_read = std::max(highest.cache_read, price.cache_read);
    highest.cache_write = std::max(highest.cache_write, price.cache_write);
    if (auto fits = fit(price, model); fits && (!best || *fits > best_fit)) best = &price, best_fit = *fits;
  }
  const wire::GuardPrice& price = best ? *best : highest;
  // A price of 1 for a million tokens is one millionth for each.
  auto part = [](uint64_t tokens, double each) { return static_cast<double>(tokens) * each; };
  return static_cast<uint64_t>(std::ceil(part(usage.input, price.input) + part(usage.output, price.output) +
                                         part(usage.cache_read, price.cache_read) +
                                         part(usage.cache_write, price.cache_write)));
}

}  // namespace bottle::guard
