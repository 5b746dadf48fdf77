// Holds what the egress rules set for the hosts of their patterns. Pure.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "policy/host.h"

namespace bottle::guard {

// A smaller value of T must be stricter. This object is filled while a configuration is compiled, and does not change
// afterward.
template <typename T>
class HostSettings {
 public:
  // Adds a rule, with or without a setting. Fails with Code::invalid if `pattern` is not one.
  Result<> add(const std::string& pattern, std::optional<T> setting) {
    list_.emplace_back(TRY(policy::HostPattern::compile(pattern)), setting);
    has_any_ |= setting.has_value();
    return {};
  }
  // Sorts the rules. Call it after the last one.
  void build() {
    // If no rule has a setting, there is nothing to search for.
    if (!has_any_) list_.clear();
    std::ranges::sort(list_, [](const auto& a, const auto& b) {
      size_t left = a.first.rank(), right = b.first.rank();
      if (left != right) return left > right;
      return a.second && (!b.second || *a.second < *b.second);
    });
  }

  // Returns what the most specific rules for the host set, the strictest if they differ, or nullopt if they set
  // nothing. A rule without a setting hides those of wider patterns.
  std::optional<T> of(const policy::Host& host) const {
    auto found = std::ranges::find_if(list_, [&](const auto& each) { return each.first.matches(host); });
    return found == list_.end() ? std::nullopt : found->second;
  }

 private:
  bool has_any_ = false;
  std::vector<std::pair<policy::HostPattern, std::optional<T>>> list_;
};

}  // namespace bottle::guard
