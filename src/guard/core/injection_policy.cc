// Answers whether instructions in an answer are blocked or only recorded.
#include "guard/core/injection_policy.h"

#include <optional>

namespace bottle::guard {
namespace {

Result<OnInjection> parse(std::string_view text) {
  if (text != "block" && text != "warn") return fail(Code::invalid, "on_injection is not block or warn");
  return text == "block" ? OnInjection::block : OnInjection::warn;
}

}  // namespace

Result<> InjectionPolicy::set_general(std::string_view what) {
  general_ = TRY(parse(what));
  return {};
}

Result<> InjectionPolicy::add_rule(const std::string& pattern, std::string_view what) {
  std::optional<OnInjection> setting;
  if (!what.empty()) setting = TRY(parse(what));
  return by_host_.add(pattern, setting);
}

bool InjectionPolicy::blocks(const policy::Host& host) const {
  return by_host_.of(host).value_or(general_) == OnInjection::block;
}

}  // namespace bottle::guard
