// Operators who do not read the audit see only this: one notice for each new refusal while the session runs, and
// lists at its end. The agent chooses the hosts, paths and methods, and can cause any number of refusals. Therefore
// every list has a limit, notices cease after the first fifty, and a rule is suggested only for a plain host and
// method, and only if the guard says that exactly such a rule is missing.
#include "session/audit/egress_summary.h"

#include <algorithm>
#include <functional>

#include "manifest/edit.h"
#include "policy/host.h"

namespace bottle::session {
namespace {

// All lists travel in one frame of at most 1 MB, even from a remote machine, and the agent chooses the names.
constexpr size_t kMostDenied = 300, kMostReached = 1000, kMostTold = 50;

// Returns the rule that would have allowed this, or an empty string if no rule was missing. The agent chose every
// word of the decision, and a person may copy the suggestion, so it contains only a plain host name and method.
std::string missing_rule(const wire::Decision& decision) {
  // A rule would not fix anything else, and the reason may even be a warning against such a rule.
  if (!decision.lacks || !policy::is_for_a_rule(*decision.lacks)) return "";
  auto host = policy::normalise_host(decision.host);
  if (!host || host->literal) return "";
  manifest::AllowRule rule{.host = host->name};
  // A rule without ports allows 80 and 443.
  if (decision.port != 0 && decision.port != 443 && decision.port != 80) rule.ports = {decision.port};
  const std::string &method = decision.method, &path = decision.path;
  bool of_request = decision.lacks == policy::Lacks::method || decision.lacks == policy::Lacks::path;
  bool plain = !method.empty() && method.size() <= 20 &&
               std::ranges::all_of(method, [](char c) { return c >= 'A' && c <= 'Z'; });
  // A rule without the method would allow more than what was refused.
  if (of_request && !plain) return "";
  if (of_request) rule.methods = {method};
  bool clean = path.starts_with('/') && path.size() <= 200 && std::ranges::all_of(path, [](unsigned char c) {
                 return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '*' && c != '?' && c != '#';
               });
  if (!rule.methods.empty() && clean) rule.paths = {path};
  return manifest::rule_yaml(rule);
}

}  // namespace

void EgressSummary::add(const wire::Decision& decision, Clients& clients) {
  const std::string &host = decision.host, &code = decision.code;
  // A credential is named by the rule that found it.
  const std::string& secret = decision.secret.empty() ? decision.rule : decision.secret;
  if (decision.is_allow() && !secret.empty() && code.ends_with("_to_model") && secrets_.size() < kMostTold &&
      secrets_.try_emplace({secret, code}, host).second)
    clients.event(wire::SecretToModel{secret, host, code, decision.reason});
  if (code == "injection" && injections_ < kMostTold) {
    ++injections_;
    clients.event(wire::Warning{decision.reason + ", from " + host + "; the agent may have read it"});
  }
  bool reached = decision.is_allow() &&
                 (decision.kind == wire::DecisionKind::connect || decision.kind == wire::DecisionKind::http);
  // Only hosts that programs connect to can become rules. Lookups of names are decisions, too, but do not count.
  if (reached && reached_.size() < kMostReached) reached_.insert(host);
  if (!decision.is_deny()) return;
  std::string where = (host.empty() ? "?" : host) + (decision.port ? ":" + std::to_string(decision.port) : "");
  auto& entry = denied_entry({where, code});
  bool is_new = entry.rank == entry.too_high;
  entry.rank += decision.count;
  if (!is_new) return;
  entry.allow = missing_rule(decision);
  if (denied_.size() <= kMostTold) clients.event(wire::Denied{where, code, decision.reason, entry.allow});
}

// Returns the entry for `key`. If there are too many, a new one takes the place and the rank of the lowest (the
// algorithm Space-Saving). Without the rank, the agent could keep a host out of the list by requesting many names
// once.
EgressSummary::Denied& EgressSummary::denied_entry(const DeniedKey& key) {
  auto found = denied_.find(key);
  if (found != denied_.end()) return found->second;
  uint64_t rank = 0;
  if (denied_.size() >= kMostDenied) {
    auto lowest = std::ranges::min_element(denied_, {}, [](const auto& each) { return each.second.rank; });
    rank = lowest->second.rank;
    denied_.erase(lowest);
  }
  return denied_[key] = {.rank = rank, .too_high = rank};
}

std::vector<wire::DeniedHost> EgressSummary::denied() const {
  std::vector<wire::DeniedHost> list;
  list.reserve(denied_.size());
  for (const auto& [key, entry] : denied_)
    list.push_back({key.first, key.second, entry.rank - entry.too_high, entry.allow});
  return list;
}

std::vector<wire::SecretNotice> EgressSummary::secrets() const {
  std::vector<wire::SecretNotice> list;
  list.reserve(secrets_.size());
  for (const auto& [what, host] : secrets_) list.push_back({what.first, what.second, host});
  return list;
}

std::vector<std::string> EgressSummary::recorded(const std::vector<manifest::AllowRule>& rules) const {
  std::vector<std::string> list;
  for (const auto& host : reached_) {
    bool covered = std::ranges::any_of(
        rules, [&](const auto& rule) { return rule.host != "*" && manifest::covers(rule.host, host); });
    if (!covered && policy::normalise_host(host)) list.push_back(manifest::rule_yaml({.host = host}));
  }
  return list;
}

}  // namespace bottle::session
