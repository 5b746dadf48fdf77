// Decides in two steps. connect() decides by name and port, when nothing else is known. If rules name methods or
// paths, it only requests inspection, and request() then decides about each request. In both steps, only the rules
// with the most specific pattern count. Among those, a denial wins; without one, a single rule that allows is enough.
//
// A refusal still names a rule and a reason, so that the operator can see which rule came closest.
#include "policy/rules.h"

#include <algorithm>
#include <optional>

#include "policy/overrides.h"

namespace bottle::policy {
namespace {

bool port_matches(const RuleSpec& rule, uint16_t port) {
  if (rule.ports.empty()) return port == 443 || port == 80;
  return std::ranges::find(rule.ports, port) != rule.ports.end();
}

}  // namespace

Result<Rules> Rules::compile(const std::vector<RuleSpec>& specs) {
  Rules rules;
  for (const auto& spec : specs) {
    Rule rule{TRY(HostPattern::compile(spec.host)), spec};
    for (auto& method : rule.spec.methods)
      // Methods are case-sensitive (RFC 9110 §9.1). Only the rules are converted, so a request with "get" matches none
      // of them.
      for (char& c : method)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    for (const auto& path : spec.paths) {
      auto glob = PathGlob::compile(path);
      if (!glob) return std::unexpected(std::move(glob.error()).during("the rule for " + spec.host));
      rule.paths.push_back(std::move(*glob));
    }
    rules.rules_.push_back(std::move(rule));
  }
  std::ranges::sort(rules.rules_, [](const Rule& a, const Rule& b) { return a.host.rank() > b.host.rank(); });
  return rules;
}

template <typename F>
void Rules::each(const Host& host, F f) const {
  std::optional<size_t> rank;
  for (const auto& rule : rules_) {
    // The rules are sorted by rank, so after the first match all that have the same rank come next.
    if (rank && rule.host.rank() != *rank) return;
    if (!rule.host.matches(host)) continue;
    rank = rule.host.rank();
    f(rule);
  }
}

bool Rules::names(const Host& host) const {
  bool exact = false;
  each(host, [&](const Rule& rule) { exact |= rule.host.is_exact(); });
  return exact;
}

bool Rules::denied(const Host& host) const {
  bool denied = false;
  each(host, [&](const Rule& rule) { denied |= rule.spec.deny; });
  return denied;
}

Decision Rules::connect(const Host& host, uint16_t port) const {
  Decision decision{.reason = std::string(kNoRuleForHost)};
  // A denial comes before ports and everything else, so no other rule of the same rank can undo it.
  if (denied(host)) {
    decision.reason = "denied by the operator";
    each(host, [&](const Rule& rule) {
      if (rule.spec.deny) decision.rule = &rule.spec;
    });
    return decision;
  }
  each(host, [&](const Rule& each) {
    const RuleSpec& rule = each.spec;
    // This rule does not apply, but the refusal may name it as the closest one.
    if (!port_matches(rule, port)) {
      if (!decision.allowed) decision.reason = kNoRuleForPort;
      if (!decision.rule) decision.rule = &rule;
      return;
    }
    if (!decision.allowed) decision.rule = &rule;
    decision.allowed = true;
    decision.code = "allowed";
    decision.reason.clear();
    // One rule with methods or paths is enough: each request is then judged against all rules of the host.
    decision.restricted |= !rule.methods.empty() || !rule.paths.empty();
    decision.inspect |= rule.inspect || decision.restricted;
  });
  return decision;
}

Decision Rules::request(const Host& host, uint16_t port, std::string_view method, std::string_view target) const {
  Decision decision = request_as(host, port, method, target);
  // If the rules have no methods and paths, they allow any method.
  if (!decision.allowed || !decision.restricted) return decision;
  for (const auto& other : methods_in_query(target)) {
    Decision as_other = request_as(host, port, other, target);
    if (!as_other.allowed) {
      // The agent chose the method, so it is cut before it goes into the record.
      as_other.reason = std::string(kQueryRefused) + other.substr(0, 40) + ", and " + as_other.reason;
      return as_other;
    }
    if (!as_other.target.empty()) decision.target = as_other.target;
  }
  return decision;
}

Decision Rules::request_as(const Host& host, uint16_t port, std::string_view method, std::string_view target) const {
  Decision decision = connect(host, port);
  if (!decision.allowed || !decision.inspect) return decision;
  // connect() has allowed the host, but each request also needs a rule that allows it.
  decision.allowed = false;
  decision.code = "not_allowed";
  decision.reason = kNoRuleForMethod;
  std::optional<Result<JudgedPath>> path;
  each(host, [&](const Rule& each) {
    const RuleSpec& rule = each.spec;
    // One rule that allows is enough.
    if (decision.allowed || !port_matches(rule, port)) return;
    if (!rule.methods.empty() && std::ranges::find(rule.methods, method) == rule.methods.end()) return;
    decision.rule = &rule;
    // A rule for all paths must also allow paths that cannot be judged, which many services use.
    if (!each.paths.empty() && std::ranges::none_of(each.paths, &PathGlob::any)) {
      // All rules share one judgment of the path.
      if (!path) path = judge_path(target);
      if (!*path) {
        decision.reason = path->error().what;
        return;
      }
      if (!all_allowed(each.paths, **path)) {
        decision.reason = kNoRuleForPath;
        return;
      }
      // The query is not judged, and stays as it is.
      decision.target = (*path)->canonical + std::string(target.substr(std::min(target.find('?'), target.size())));
    }
    decision.allowed = true;
    decision.code = "allowed";
    decision.reason.clear();
  });
  return decision;
}

}  // namespace bottle::policy
