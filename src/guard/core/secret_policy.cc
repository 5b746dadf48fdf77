// Answers which action applies to a secret in a request. The order is: the rule for the host, the setting for the
// secret or the rule that found it, and the general setting, which is relaxed for the agent's model.
#include "guard/core/secret_policy.h"

namespace bottle::guard {
OnSecret SecretPolicy::of(const policy::Host& host, bool model, std::string_view name) const {
  if (auto said = by_host_.of(host)) return *said;
  if (auto said = by_name_.find(name); said != by_name_.end()) return said->second;
  // Everything that the agent has read goes to its model with every request. Blocking that would end the session.
  if (model && general_ == OnSecret::block) return OnSecret::redact;
  return general_;
}

OnSecret SecretPolicy::of_unreadable(const policy::Host& host) const {
  // This is so even for the model, where of() would redact, because no marker fits into data that cannot be read.
  // FindingScan lets such data pass and records it.
  return by_host_.of(host).value_or(general_);
}

}  // namespace bottle::guard
