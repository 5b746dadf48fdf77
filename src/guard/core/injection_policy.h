// Decides what happens to an answer that instructs the agent, as the operator configured it (`on_injection`).
// Pure.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "guard/core/host_settings.h"
#include "policy/host.h"
#include "policy/on_finding.h"

namespace bottle::guard {

using policy::OnInjection;

// Holds the setting for each host. It is filled while a configuration is compiled, and constant from then on.
class InjectionPolicy {
 public:
  void set_general(OnInjection what) { general_ = what; }
  // Adds an egress rule, with or without a setting. Fails with Code::invalid if `pattern` is not one.
  Result<> add_rule(const std::string& pattern, std::optional<OnInjection> what) { return by_host_.add(pattern, what); }
  void build() { by_host_.build(); }  // after the last rule

  // Returns whether the guard refuses such an answer from the host. Otherwise, it only records the answer.
  bool blocks(const policy::Host& host) const;

 private:
  OnInjection general_ = OnInjection::warn;
  HostSettings<OnInjection> by_host_;
};

}  // namespace bottle::guard
