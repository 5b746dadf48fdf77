// This file holds what the operator wants to happen to an answer that instructs the agent (`on_injection`). The code is
// pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "policy/host.h"

namespace bottle::guard {

class InjectionPolicy {
 public:
  // Each takes "block" or "warn", and fails with Code::invalid for any other text.
  Result<> set_general(std::string_view what);
  Result<> set_for_host(const std::string& pattern, std::string_view what);  // of an egress rule

  // Returns whether such an answer of the host is refused. Otherwise it is only recorded.
  bool blocks(const policy::Host& host) const;

 private:
  bool general_ = false;
  std::vector<std::pair<policy::HostPattern, bool>> by_host_;  // the most specific first
};

}  // namespace bottle::guard
