// Answers which action applies to a secret in a request. The order is: the rule for the host, the setting for the
// secret or the rule that found it, and the general setting, which is relaxed for the agent's model. Host patterns
// are sorted by rank once, so that the first one that matches is the most specific one.
#include "guard/core/secret_policy.h"

#include <algorithm>

namespace bottle::guard {
namespace {

Result<OnSecret> parse(std::string_view text) {
  if (text == "block" || text.empty()) return OnSecret::block;
  if (text == "redact") return OnSecret::redact;
  if (text == "warn") return OnSecret::warn;
  return fail(Code::invalid, "on_secret is not block, redact or warn");
}

}  // namespace

Result<> SecretPolicy::set_general(std::string_view what) {
  general_ = TRY(parse(what));
  return {};
}

Result<> SecretPolicy::set_for_name(const std::string& name, std::string_view what) {
  by_name_[name] = TRY(parse(what));
  return {};
}

Result<> SecretPolicy::set_for_host(const std::string& pattern, std::string_view what) {
  by_host_.emplace_back(TRY(policy::HostPattern::compile(pattern)), TRY(parse(what)));
  std::ranges::sort(by_host_, [](const auto& a, const auto& b) { return a.first.rank() > b.first.rank(); });
  return {};
}

const OnSecret* SecretPolicy::by_host(const policy::Host& host) const {
  auto found = std::ranges::find_if(by_host_, [&](const auto& each) { return each.first.matches(host); });
  return found == by_host_.end() ? nullptr : &found->second;
}

OnSecret SecretPolicy::of(const policy::Host& host, bool model, std::string_view name) const {
  if (const OnSecret* said = by_host(host)) return *said;
  if (auto said = by_name_.find(name); said != by_name_.end()) return said->second;
  // Everything that the agent has read goes to its model with every request. Blocking that would end the session.
  if (model && general_ == OnSecret::block) return OnSecret::redact;
  return general_;
}

OnSecret SecretPolicy::of_unreadable(const policy::Host& host) const {
  const OnSecret* said = by_host(host);
  // This is so even for the model, where of() would redact, because no marker fits into data that cannot be read.
  // RequestScan lets such data pass and records it.
  return said ? *said : general_;
}

}  // namespace bottle::guard
