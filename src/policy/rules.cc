// Decides in two steps. connect() decides by name and port, when nothing else is known. If rules name methods or
// paths, it only requests inspection, and request() then decides about each request. In both steps, only the rules
// with the most specific pattern count. Among those, a denial wins; without one, a single rule that allows is enough.
//
// A refusal still names a rule and a reason, so that the operator can see which rule came closest.
#include "policy/rules.h"

#include <algorithm>
#include <array>
#include <optional>
#include <ranges>

#include "policy/overrides.h"

namespace bottle::policy {
namespace {

constexpr std::string_view kQueryRefused = "the query asks for ";

// Returns the reason for a refusal that a further rule could prevent.
constexpr const char* reason_for(Lacks what) {
  constexpr std::array kReasons = {"no rule names this host", "no rule allows this port", "no rule allows this method",
                                   "no rule allows this path"};
  return kReasons[static_cast<size_t>(what)];
}

// Turns the decision into a refusal for this lack.
void refuse(Decision& decision, Lacks what) {
  decision.lacks = what;
  decision.reason = reason_for(what);
}

bool port_matches(const RuleSpec& rule, uint16_t port) {
  if (rule.ports.empty()) return port == 443 || port == 80;
  return std::ranges::find(rule.ports, port) != rule.ports.end();
}

bool method_matches(const RuleSpec& rule, std::string_view method) {
  return rule.methods.empty() || std::ranges::find(rule.methods, method) != rule.methods.end();
}

// Says whether a rule's paths allow a request. If they do, `lacks` is empty, and `target` is as in Decision.
struct PathVerdict {
  std::optional<Lacks> lacks;
  std::string reason, target;
};

// Judges the path of one request for several rules. The judgment costs more than the rest of the decision, so it is
// made once, and only if a rule needs it.
class SharedPath {
 public:
  explicit SharedPath(std::string_view target) : target_(target) {}
  PathVerdict judge(const std::vector<PathGlob>& globs) {
    // A rule for all paths must also allow paths that cannot be judged, which many services use.
    if (globs.empty() || std::ranges::any_of(globs, &PathGlob::any)) return {};
    if (!path_) path_ = judge_path(target_);
    if (!*path_) return {Lacks::nothing, path_->error().what, {}};
    if (!all_allowed(globs, **path_)) return {Lacks::path, reason_for(Lacks::path), {}};
    // The query is not judged, and stays as it is.
    return {{}, {}, (*path_)->canonical + std::string(target_.substr(std::min(target_.find('?'), target_.size())))};
  }

 private:
  std::string_view target_;
  std::optional<Result<JudgedPath>> path_;
};

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
      rule.paths.push_back(TRY(during("the rule for " + spec.host, PathGlob::compile(path))));
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
  Decision decision;
  refuse(decision, Lacks::host);
  // A denial comes before ports and everything else, so no other rule of the same rank can undo it.
  if (denied(host)) {
    decision.reason = "denied by the operator";
    decision.lacks = Lacks::nothing;
    each(host, [&](const Rule& rule) {
      if (rule.spec.deny) decision.rule = &rule.spec;
    });
    return decision;
  }
  each(host, [&](const Rule& each) {
    const RuleSpec& rule = each.spec;
    // This rule does not apply, but the refusal may name it as the closest one.
    if (!port_matches(rule, port)) {
      if (!decision.allowed) refuse(decision, Lacks::port);
      if (!decision.rule) decision.rule = &rule;
      return;
    }
    if (!decision.allowed) decision.rule = &rule;
    decision.allowed = true;
    decision.code = "allowed";
    decision.reason.clear();
    decision.lacks.reset();
    // One rule with methods or paths is enough: each request is then judged against all rules of the host.
    decision.restricted |= !rule.methods.empty() || !rule.paths.empty();
    decision.inspect |= rule.inspect || decision.restricted;
  });
  return decision;
}

Decision Rules::request(const Host& host, uint16_t port, std::string_view method, std::string_view target) const {
  Decision undecided = connect(host, port);
  if (!undecided.allowed || !undecided.inspect) return undecided;
  // connect() has allowed the host, but each method also needs a rule that allows it.
  undecided.allowed = false;
  undecided.code = "not_allowed";
  refuse(undecided, Lacks::method);
  // If the rules have no methods and paths, they allow any method.
  auto asked = undecided.restricted ? methods_in_query(target) : std::vector<std::string>();
  if (asked.size() > kMostQueryMethods) {
    undecided.lacks = Lacks::query;
    undecided.reason = std::string(kQueryRefused) + "more than " + std::to_string(kMostQueryMethods) + " methods";
    return undecided;
  }
  std::vector<std::pair<std::string_view, Decision>> decisions{{method, undecided}};
  for (const auto& each : asked) decisions.emplace_back(each, undecided);
  SharedPath path(target);
  each(host, [&](const Rule& each) {
    if (!port_matches(each.spec, port)) return;
    std::optional<PathVerdict> verdict;  // it is the same for all methods
    for (auto& [name, decision] : decisions) {
      // One rule that allows is enough.
      if (decision.allowed || !method_matches(each.spec, name)) continue;
      if (!verdict) verdict = path.judge(each.paths);
      decision.rule = &each.spec;
      decision.allowed = !verdict->lacks;
      if (decision.allowed) decision.code = "allowed";
      decision.lacks = verdict->lacks;
      decision.reason = verdict->reason;
      decision.target = verdict->target;
    }
  });
  auto& [line, decision] = decisions.front();
  for (auto& [name, other] : decisions | std::views::drop(1)) {
    if (!decision.allowed) break;
    if (other.allowed && !other.target.empty()) decision.target = other.target;
    if (other.allowed) continue;
    other.lacks = Lacks::query;
    // The agent chose the method, so it is cut before it goes into the audit.
    other.reason =
        std::string(kQueryRefused) + "the method " + std::string(name.substr(0, 40)) + ", and " + other.reason;
    decision = std::move(other);
  }
  return std::move(decision);
}

}  // namespace bottle::policy
