// Decides what happens to an answer that instructs the agent, as the operator configured it (`on_injection`).
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "policy/host.h"

namespace bottle::guard {

// Holds the setting for each host. It is filled while a configuration is compiled, and constant from then on.
class InjectionPolicy {
 public:
  // Each takes "block" or "warn", and fails with Code::invalid for any other text.
  Result<> set_general(std::string_view what);
  Result<> set_for_host(const std::string& pattern, std::string_view what);  // for the host of an egress rule

  // Returns whether the guard refuses such an answer from the host. Otherwise, it only records the answer.
  bool blocks(const policy::Host& host) const;

 private:
  bool general_ = false;
  std::vector<std::pair<policy::HostPattern, bool>> by_host_;  // the most specific first
};

}  // namespace bottle::guard
