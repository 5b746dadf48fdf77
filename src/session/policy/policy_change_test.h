// Helpers for tests of changes of the policy.
#pragma once

#include <map>

#include "session/policy/policy_change.h"

namespace bottle::session {

// Returns the `allow` list after a change.
inline Result<std::vector<wire::GuardRule>> rules_after(std::vector<wire::GuardRule> allow,
                                                        const wire::PolicyChange& change,
                                                        const Services& services = {}) {
  wire::GuardEgress egress;
  egress.allow = std::move(allow);
  return TRY(changed_egress(std::move(egress), change, services)).allow;
}

inline wire::PolicyChange allow(const std::string& id, manifest::AllowRule rule) {
  return {id, wire::PolicyChange::Allow{std::move(rule)}};
}
inline wire::PolicyChange deny(const std::string& host) { return {"2", wire::PolicyChange::Deny{host}}; }

// Returns the settings after a change of limits; an empty host stands for the session.
inline Result<wire::GuardEgress> limits_after(wire::GuardEgress egress, const std::string& host,
                                              const std::map<wire::Quantity, uint64_t>& most) {
  wire::LimitChange change{host};
  for (const auto& [quantity, value] : most) change.of(quantity) = value;
  return changed_egress(std::move(egress), {"3", change}, {});
}

}  // namespace bottle::session
