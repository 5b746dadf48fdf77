// Answers whether instructions in an answer are blocked or only recorded. As in SecretPolicy, host patterns are
// sorted by rank, so that the first one that matches is the most specific one.
#include "guard/core/injection_policy.h"

#include <algorithm>

namespace bottle::guard {
namespace {

Result<bool> blocks_if(std::string_view text) {
  if (text != "block" && text != "warn") return fail(Code::invalid, "on_injection is not block or warn");
  return text == "block";
}

}  // namespace

Result<> InjectionPolicy::set_general(std::string_view what) {
  general_ = TRY(blocks_if(what));
  return {};
}

Result<> InjectionPolicy::set_for_host(const std::string& pattern, std::string_view what) {
  by_host_.emplace_back(TRY(policy::HostPattern::compile(pattern)), TRY(blocks_if(what)));
  std::ranges::sort(by_host_, [](const auto& a, const auto& b) { return a.first.rank() > b.first.rank(); });
  return {};
}

bool InjectionPolicy::blocks(const policy::Host& host) const {
  auto found = std::ranges::find_if(by_host_, [&](const auto& each) { return each.first.matches(host); });
  return found == by_host_.end() ? general_ : found->second;
}

}  // namespace bottle::guard
