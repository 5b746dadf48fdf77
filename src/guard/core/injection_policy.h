// Decides what happens to an answer that instructs the agent, as the operator configured it (`on_injection`).
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "guard/core/host_settings.h"
#include "policy/host.h"

namespace bottle::guard {

enum class OnInjection : uint8_t { block, warn };

// Holds the setting for each host. It is filled while a configuration is compiled, and constant from then on.
class InjectionPolicy {
 public:
  // Each takes "block" or "warn", and fails with Code::invalid for any other text.
  Result<> set_general(std::string_view what);
  // Adds an egress rule. If it has no setting, `what` is empty.
  Result<> add_rule(const std::string& pattern, std::string_view what);
  void build() { by_host_.build(); }  // after the last rule

  // Returns whether the guard refuses such an answer from the host. Otherwise, it only records the answer.
  bool blocks(const policy::Host& host) const;

 private:
  OnInjection general_ = OnInjection::warn;
  HostSettings<OnInjection> by_host_;
};

}  // namespace bottle::guard
