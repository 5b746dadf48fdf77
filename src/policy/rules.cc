#include "policy/rules.h"

#include <algorithm>
#include <optional>

#include "policy/path.h"

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
      for (char& c : method)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    for (const auto& path : spec.paths)
      if (!path.starts_with('/') && !path.starts_with("**"))
        return fail(Code::invalid, "path \"" + path + "\" of " + spec.host + " does not start with /");
    rules.rules_.push_back(std::move(rule));
  }
  std::ranges::sort(rules.rules_, [](const Rule& a, const Rule& b) { return a.host.rank() > b.host.rank(); });
  return rules;
}

template <typename F>
void Rules::each(const Host& host, F f) const {
  std::optional<size_t> rank;
  for (const auto& rule : rules_) {
    if (rank && rule.host.rank() != *rank) return;
    if (!rule.host.matches(host)) continue;
    rank = rule.host.rank();
    f(rule.spec);
  }
}

bool Rules::denied(const Host& host) const {
  bool denied = false;
  each(host, [&](const RuleSpec& rule) { denied |= rule.deny; });
  return denied;
}

Decision Rules::connect(const Host& host, uint16_t port) const {
  Decision decision{.reason = "no rule names this host"};
  if (denied(host)) {
    decision.reason = "denied by the operator";
    return decision;
  }
  each(host, [&](const RuleSpec& rule) {
    if (!port_matches(rule, port)) {
      if (!decision.allowed) decision.reason = "no rule allows this port";
      return;
    }
    decision.allowed = true;
    decision.code = "allowed";
    decision.reason.clear();
    decision.inspect |= rule.inspect || !rule.methods.empty() || !rule.paths.empty();
  });
  return decision;
}

Decision Rules::request(const Host& host, uint16_t port, std::string_view method, std::string_view target) const {
  Decision decision = connect(host, port);
  if (!decision.allowed || !decision.inspect) return decision;
  decision.allowed = false;
  decision.code = "not_allowed";
  decision.reason = "no rule allows this method";
  std::optional<Result<std::string>> path;
  each(host, [&](const RuleSpec& rule) {
    if (decision.allowed || !port_matches(rule, port)) return;
    if (!rule.methods.empty() && std::ranges::find(rule.methods, method) == rule.methods.end()) return;
    if (!rule.paths.empty()) {
      if (!path) path = normalise_path(target);
      if (!*path) {
        decision.reason = path->error().what;
        return;
      }
      if (!std::ranges::any_of(rule.paths, [&](const auto& glob) { return glob_matches(glob, **path); })) {
        decision.reason = "no rule allows this path";
        return;
      }
    }
    decision.allowed = true;
    decision.code = "allowed";
    decision.reason.clear();
  });
  return decision;
}

}  // namespace bottle::policy
