// Answers whether instructions in an answer are blocked or only recorded.
#include "guard/core/injection_policy.h"

namespace bottle::guard {
bool InjectionPolicy::blocks(const policy::Host& host) const {
  return by_host_.of(host).value_or(general_) == OnInjection::block;
}

}  // namespace bottle::guard
