#include "session/guard_link/policy_change.h"

#include <algorithm>
#include <utility>

#include "base/text/lower.h"
#include "policy/rules.h"

namespace bottle::session {
namespace {}  // namespace

Result<std::vector<wire::GuardRule>> changed_rules(std::vector<wire::GuardRule> allow,
                                                   const wire::PolicyChange& change) {
  auto remove = [&](const std::string& host, bool denials) {
    std::erase_if(allow, [&](const wire::GuardRule& rule) { return rule.host == host && rule.deny == denials; });
  };
  if (change.allow) {
    policy::RuleSpec spec{.host = lower(change.allow->host),
                          .ports = change.allow->ports,
                          .methods = change.allow->methods,
                          .paths = change.allow->paths};
    TRY(policy::Rules::compile({spec}));
    if (spec.host == "*")
      return fail(Code::invalid, "a running session cannot get a rule for every host",
                  "use `bottle start --record` for that");
    if (auto host = policy::normalise_host(spec.host); host && host->literal)
      return fail(Code::invalid, "'" + spec.host + "' is an address, not a name",
                  "use egress.hosts to give a name an address, or egress.lan for a service of the local network");
    remove(spec.host, true);
    bool inspect = !spec.methods.empty() || !spec.paths.empty();
    allow.push_back({spec.host, spec.ports, spec.methods, spec.paths, inspect});
    return allow;
  }
  std::string host = lower(change.deny.value_or(""));
  TRY(policy::Rules::compile({{.host = host, .deny = true}}));
  remove(host, false);
  remove(host, true);
  allow.push_back({.host = host, .deny = true});
  return allow;
}

Result<std::vector<std::string>> changed_secrets(std::vector<std::string> allowed, const std::string& fingerprint) {
  if (fingerprint.size() != 12 || fingerprint.find_first_not_of("0123456789abcdef") != std::string::npos)
    return fail(Code::invalid, "a fingerprint must be 12 hexadecimal digits", "copy it from the line of the audit");
  if (std::ranges::find(allowed, fingerprint) == allowed.end()) allowed.push_back(fingerprint);
  return allowed;
}

void LivePolicy::request(const wire::PolicyChange& wanted) {
  Change change{wanted.id, "", config_};
  if (wanted.secret) {
    auto allowed = changed_secrets(config_.egress.allowed_secrets, *wanted.secret);
    if (!allowed) return tell(wanted.id, false, allowed.error().what);
    config_.egress.allowed_secrets = std::move(*allowed);
    change.what = "allowed the credential " + *wanted.secret;
  } else {
    auto rules = changed_rules(config_.egress.allow, wanted);
    if (!rules) return tell(wanted.id, false, rules.error().what);
    config_.egress.allow = std::move(*rules);
    change.what = wanted.allow ? "allowed " + wanted.allow->host : "denied " + wanted.deny.value_or("");
  }
  if (auto sent = send_(config_); !sent) {
    config_ = std::move(change.before);
    return tell(wanted.id, false, sent.error().what);
  }
  pending_.push_back(std::move(change));
}

void LivePolicy::trust(const std::string& root) {
  auto& known = config_.egress.extra_ca;
  if (root.empty() || known.find(root) != std::string::npos) return;
  Change change{"", "", config_};
  known += "\n" + root;
  if (send_(config_)) pending_.push_back(std::move(change));
}

void LivePolicy::set_unrecorded(const std::string& why) {
  if (config_.unrecorded == why) return;
  Change change{"", "", config_};
  bool told = !std::exchange(config_.unrecorded, why).empty();
  if (send_(config_)) pending_.push_back(std::move(change));
  if (!told) tell_(wire::RecordFull{"the guard refuses everything, because its decisions cannot be recorded: " + why});
  if (why.empty()) tell_(wire::RecordBack{});
}

void LivePolicy::set_host_networks(const std::vector<std::string>& networks) {
  auto& known = config_.host_networks;
  if (known == networks) return;
  Change change{"", "", config_};
  known = networks;
  if (send_(config_)) pending_.push_back(std::move(change));
}

void LivePolicy::accepted() {
  if (pending_.empty()) return;
  if (const auto& [id, what, before] = pending_.front(); !what.empty()) tell(id, true, what);
  pending_.pop_front();
}

bool LivePolicy::refused(const std::string& what) {
  if (pending_.empty()) return false;
  // Later changes were built on the refused one, so all of them are undone.
  config_ = pending_.front().before;
  bool asked = false;
  for (const auto& each : pending_) {
    if (each.what.empty()) continue;
    asked = true;
    tell(each.id, false, what);
  }
  pending_.clear();
  return asked;
}

void LivePolicy::guard_is_gone() { refused("the guard died; try again when it is back"); }

}  // namespace bottle::session
