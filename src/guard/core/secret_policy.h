// Holds the operator's settings for secrets on their way to a host (`on_secret`). Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "guard/core/host_settings.h"
#include "policy/host.h"

namespace bottle::guard {

// Says what happens to a request that carries a secret to the wrong place, and to an answer that contains a value, from
// the strictest to the most lenient.
enum class OnSecret : uint8_t { block, redact, warn };

// Holds the settings. It is filled while a configuration is compiled, and constant from then on.
class SecretPolicy {
 public:
  // Each takes "block", "redact" or "warn", and fails with Code::invalid for any other text.
  Result<> set_general(std::string_view what);
  Result<> set_for_name(const std::string& name, std::string_view what);  // of a rule of src/scan, or of a secret
  // Adds an egress rule. If it has no setting, `what` is empty.
  Result<> add_rule(const std::string& pattern, std::string_view what);
  void build() { by_host_.build(); }  // after the last rule

  // Returns what happens to a finding of this name on its way to the host. The setting for the host takes precedence
  // over the setting for the name. `model` says that the host is the agent's model, where `block` is not the default.
  OnSecret of(const policy::Host& host, bool model, std::string_view name) const;
  // Returns what happens to data that cannot be scanned, such as a body in an unknown coding.
  OnSecret of_unreadable(const policy::Host& host) const;
  // Returns whether there is a setting for the name itself.
  bool names(std::string_view name) const { return by_name_.contains(name); }

 private:
  OnSecret general_ = OnSecret::block;
  std::map<std::string, OnSecret, std::less<>> by_name_;
  HostSettings<OnSecret> by_host_;
};

}  // namespace bottle::guard
