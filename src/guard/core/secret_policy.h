// Holds the operator's settings for secrets on their way to a host (`on_secret`). Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "guard/core/host_settings.h"
#include "policy/host.h"
#include "policy/on_finding.h"

namespace bottle::guard {

using policy::OnSecret;

// Holds the settings. It is filled while a configuration is compiled, and constant from then on.
class SecretPolicy {
 public:
  void set_general(OnSecret what) { general_ = what; }
  // Sets what happens to findings of this name, which is that of a rule of src/scan or of a secret.
  void set_for_name(const std::string& name, OnSecret what) { by_name_[name] = what; }
  // Adds an egress rule, with or without a setting. Fails with Code::invalid if `pattern` is not one.
  Result<> add_rule(const std::string& pattern, std::optional<OnSecret> what) { return by_host_.add(pattern, what); }
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
