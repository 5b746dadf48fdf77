// The configuration here is the one that the next guard will get. A change is made in it first, and then sent to the
// running guard, which answers each configuration in order. Until the answer comes, the change is kept together with
// the configuration before it. An acceptance drops the oldest pending change. A refusal goes back to the
// configuration before the oldest one, which also undoes the changes that were built on it.
//
// Changes that bottle makes by itself (networks, an unrecorded audit, a new root) have no text, so the clients do not
// learn their outcome. Such a change is kept even if there is no guard to receive it. An operator's change that
// cannot be sent is undone.
#include "session/policy/policy_change.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "base/text/words.h"
#include "manifest/manifest.h"
#include "policy/rules.h"

namespace bottle::session {
namespace {

std::string normal_name(const std::string& host) {
  auto parsed = policy::normalise_host(host);
  return parsed ? parsed->name : lower(host);
}

// Returns the form in which names and patterns are compared. The guard's rules ignore a final dot, for example.
std::string normal_pattern(const std::string& pattern) {
  bool below = pattern.starts_with("*.");
  return (below ? "*." : "") + normal_name(below ? pattern.substr(2) : pattern);
}

// Adds what a rule or a denial sets for all hosts of its pattern: the smallest value of each limit, the strictest of
// each reaction, and whether the guard inspects them.
void add_settings(wire::GuardRule& to, const wire::GuardRule& from) {
  for (size_t i = 0; i < to.limit.most.size(); ++i) {
    uint64_t& most = to.limit.most[i];
    if (from.limit.most[i]) most = most ? std::min(most, from.limit.most[i]) : from.limit.most[i];
  }
  // The enumerators begin with the strictest.
  if (from.on_secret) to.on_secret = std::min(to.on_secret.value_or(*from.on_secret), *from.on_secret);
  if (from.on_injection) to.on_injection = std::min(to.on_injection.value_or(*from.on_injection), *from.on_injection);
  to.inspect |= from.inspect;
  to.reads_usage |= from.reads_usage;
}

// Returns whether something would be looser without these settings of a removed rule. Inspection concerns only what
// the rule itself allowed, unless a rule in `rest` for a wider pattern now applies to the host instead.
bool restricts(const wire::GuardRule& removed, const std::string& host, const std::vector<wire::GuardRule>& rest) {
  if (removed.limit.any() || removed.on_secret || removed.on_injection) return true;
  return removed.inspect && std::ranges::any_of(rest, [&](const wire::GuardRule& rule) {
           return !rule.deny && manifest::covers(normal_pattern(rule.host), host);
         });
}

auto needs_rule(const std::string& host) {
  return fail(Code::invalid, "the denied rule for " + host + " has settings that only another rule can keep",
              "allow the host without the port, with --methods or --paths for what it may do at ports 443 and 80 apart "
              "from ssh; without both, everything");
}

// Returns whether an `allow` is about ssh alone, so that it needs no rule. Without a port, that is so if the host was
// denied, because only the denial can then be undone. It is also so for an address, which cannot have a rule.
bool is_for_ssh(const policy::RuleSpec& spec, bool is_denied, const std::vector<SshService>& hosts) {
  if (!spec.methods.empty() || !spec.paths.empty()) return false;
  auto name = policy::normalise_host(spec.host);
  return name && std::ranges::any_of(hosts, [&](const SshService& each) {
           if (normal_name(each.host) != name->name) return false;
           return spec.ports.empty() ? is_denied || name->literal : spec.ports == std::vector{each.port};
         });
}

// Returns the hosts of ssh that an `allow` means by their alias, for ssh alone.
std::vector<SshService> meant_by_alias(const policy::RuleSpec& spec, const std::vector<SshService>& hosts) {
  std::vector<SshService> meant;
  if (!spec.methods.empty() || !spec.paths.empty()) return meant;
  for (const auto& each : hosts)
    if (!each.alias.empty() && normal_name(each.alias) == spec.host &&
        (spec.ports.empty() || spec.ports == std::vector{each.port}))
      meant.push_back(each);
  return meant;
}

// Removes the denials of this normal pattern, or its other rules. Returns what they set, which must stay: a limit also
// counts the hosts below its pattern, which other rules may allow.
wire::GuardRule take_rules(std::vector<wire::GuardRule>& allow, const std::string& pattern, bool denials) {
  wire::GuardRule removed;
  std::erase_if(allow, [&](const wire::GuardRule& rule) {
    bool gone = normal_pattern(rule.host) == pattern && rule.deny == denials;
    if (gone) add_settings(removed, rule);
    return gone;
  });
  return removed;
}

// Undoes the denial of an alias, and of the real names of its `hosts`. A rule for an alias would allow requests to
// another host, whose name is the alias, so none is added.
Result<std::vector<wire::GuardRule>> with_ssh_again(std::vector<wire::GuardRule> allow, const policy::RuleSpec& spec,
                                                    const std::vector<SshService>& hosts) {
  size_t before = allow.size();
  std::vector<std::string> names = {spec.host};
  for (const auto& each : hosts) names.push_back(normal_name(each.host));
  for (const auto& name : names) {
    auto removed = take_rules(allow, name, true);
    auto host = policy::normalise_host(name);
    bool is_address = host && host->literal;
    if (!is_address && restricts(removed, name, allow)) return needs_rule(name);
  }
  if (allow.size() < before || !spec.ports.empty()) return allow;
  return fail(Code::invalid, "ssh to " + spec.host +
                                 " is not denied; to allow requests to a host of this name, give a " +
                                 "port, such as " + spec.host + ":443");
}

Result<std::vector<wire::GuardRule>> with_rule(std::vector<wire::GuardRule> allow, const manifest::AllowRule& wanted,
                                               const Services& services) {
  policy::RuleSpec spec{
      .host = normal_pattern(wanted.host), .ports = wanted.ports, .methods = wanted.methods, .paths = wanted.paths};
  // The rule is compiled only to find out whether the guard would refuse it.
  TRY(policy::Rules::compile({spec}));
  if (spec.host == "*")
    return fail(Code::invalid, "a running session cannot get a rule for every host",
                "use `bottle start --record` for that");
  if (auto hosts = meant_by_alias(spec, services.ssh); !hosts.empty())
    return with_ssh_again(std::move(allow), spec, hosts);
  // Earlier rules of the same pattern stay, because rules add up.
  size_t before = allow.size();
  auto removed = take_rules(allow, spec.host, true);
  auto name = policy::normalise_host(spec.host);
  bool is_address = name && name->literal;
  if (is_for_ssh(spec, allow.size() < before, services.ssh)) {
    if (is_address || !restricts(removed, spec.host, allow)) return allow;
    // The settings need a rule, and one for ssh's port would allow requests that no check of the host key sees.
    if (!spec.ports.empty()) return needs_rule(spec.host);
  }
  if (is_address)
    return fail(Code::invalid, "'" + spec.host + "' is an address, not a name",
                "use egress.hosts to give a name an address, or egress.lan for a service of the local network");
  auto own = std::ranges::find_if(services.rules, [&](const auto& each) { return lower(each.host) == spec.host; });
  if (own != services.rules.end()) {
    if (!spec.ports.empty() && spec.ports != own->ports)
      return fail(Code::invalid,
                  "the service " + spec.host + " of egress.lan has only port " + std::to_string(own->ports[0]));
    spec.ports = own->ports;
    auto here = std::ranges::find_if(allow, [&](const wire::GuardRule& rule) {
      return rule.host == own->host && rule.methods == own->methods && rule.paths == own->paths;
    });
    // A route has no limits or reactions, so they need a rule beside it.
    if (here != allow.end()) add_settings(*here, removed);
    else if (!services.have_routes || restricts(removed, spec.host, allow))
      add_settings(allow.emplace_back(*own), removed);
    if (spec.methods.empty() && spec.paths.empty()) return allow;
  }
  // The guard sees methods and paths only in connections that it inspects.
  bool inspect = !spec.methods.empty() || !spec.paths.empty();
  add_settings(allow.emplace_back(wire::GuardRule{spec.host, spec.ports, spec.methods, spec.paths, inspect}), removed);
  return allow;
}

Result<std::vector<wire::GuardRule>> with_denial(std::vector<wire::GuardRule> allow, const std::string& denied) {
  std::string host = normal_pattern(denied);
  TRY(policy::Rules::compile({{.host = host, .deny = true}}));
  // Other rules may still match the host; the denial is stronger than all of them.
  wire::GuardRule denial{.host = host, .deny = true};
  for (bool denials : {false, true}) add_settings(denial, take_rules(allow, host, denials));
  allow.push_back(std::move(denial));
  return allow;
}

// Returns the real names of the hosts of ssh whose aliases a denial covers.
std::set<std::string> real_names(const std::string& denied, const std::vector<SshService>& hosts) {
  std::set<std::string> names;
  for (const auto& each : hosts)
    if (!each.alias.empty() && normal_name(each.host) != normal_pattern(denied) &&
        manifest::covers(normal_pattern(denied), normal_name(each.alias)))
      names.insert(normal_name(each.host));
  return names;
}

Result<std::vector<std::string>> with_secret(std::vector<std::string> allowed, const std::string& fingerprint) {
  if (fingerprint.size() != 12 || fingerprint.find_first_not_of("0123456789abcdef") != std::string::npos)
    return fail(Code::invalid, "a fingerprint must be 12 hexadecimal digits", "copy it from the line of the audit");
  if (std::ranges::find(allowed, fingerprint) == allowed.end()) allowed.push_back(fingerprint);
  return allowed;
}

Result<wire::GuardEgress> with_limits(wire::GuardEgress egress, const wire::LimitChange& change) {
  using enum wire::Quantity;
  auto apply = [&](wire::GuardLimit& limit) {
    for (size_t i = 0; i < limit.most.size(); ++i) limit.most[i] = change.most[i].value_or(limit.most[i]);
  };
  // The guard does not count more hosts than this separately.
  if (change.of(names).value_or(0) > manifest::kMostNames)
    return fail(Code::invalid, "a limit of names is at most " + std::to_string(manifest::kMostNames));
  // A limit that can never be reached would look like protection.
  if (change.of(cost).value_or(0) > 0 && egress.prices.empty())
    return fail(Code::invalid, "the session has no prices to estimate costs with (egress.prices)");
  if (change.host.empty()) return apply(egress.limit), egress;
  std::string host = normal_pattern(change.host);
  // A denial has the limits of the rules that it replaced.
  auto is_same = [&](const wire::GuardRule& rule) {
    return (!rule.deny || rule.limit.any()) && normal_pattern(rule.host) == host;
  };
  // A rule for exactly this pattern comes first. Only if there is none does the pattern stand for all rules below it.
  bool exact = std::ranges::any_of(egress.allow, is_same), found = false;
  for (auto& rule : egress.allow) {
    if (exact ? !is_same(rule) : rule.deny || !manifest::covers(host, rule.host)) continue;
    found = true;
    apply(rule.limit);
    // Tokens are counted in the answers of the model's host, which the guard reads only if it inspects them.
    if (change.of(tokens).value_or(0) || change.of(cost).value_or(0)) rule.inspect = rule.reads_usage = true;
  }
  if (!found) return fail(Code::invalid, "the session has no rule for " + host + " that could have a limit");
  return egress;
}

// Says for an operator what a change did.
struct Description {
  const Services& services;

  std::string operator()(const wire::PolicyChange::Allow& allow) const { return "allowed " + allow.rule.host; }
  std::string operator()(const wire::PolicyChange::Deny& deny) const {
    std::string text = "denied " + deny.host;
    for (const auto& name : real_names(deny.host, services.ssh)) text += " and " + name;
    return text;
  }
  std::string operator()(const wire::PolicyChange::AllowSecret& secret) const {
    return "allowed the credential " + secret.fingerprint;
  }
  std::string operator()(const wire::LimitChange& limit) const {
    return "changed the limits of " + (limit.host.empty() ? "the session" : limit.host);
  }
};

// Makes a change in `egress`.
struct Changer {
  wire::GuardEgress& egress;
  const Services& services;

  Result<> operator()(const wire::PolicyChange::Allow& allow) {
    egress.allow = TRY(with_rule(std::move(egress.allow), allow.rule, services));
    return {};
  }
  Result<> operator()(const wire::PolicyChange::Deny& deny) {
    egress.allow = TRY(with_denial(std::move(egress.allow), deny.host));
    // ssh asks the guard for the real name.
    for (const auto& name : real_names(deny.host, services.ssh))
      egress.allow = TRY(with_denial(std::move(egress.allow), name));
    return {};
  }
  Result<> operator()(const wire::PolicyChange::AllowSecret& secret) {
    egress.allowed_secrets = TRY(with_secret(std::move(egress.allowed_secrets), secret.fingerprint));
    return {};
  }
  Result<> operator()(const wire::LimitChange& limit) {
    egress = TRY(with_limits(std::move(egress), limit));
    return {};
  }
};

}  // namespace

std::vector<SshService> ssh_services(const std::vector<manifest::SshHost>& hosts) {
  std::vector<SshService> services;
  services.reserve(hosts.size());
  for (const auto& host : hosts) {
    bool same = host.hostname.empty() || normal_name(host.hostname) == normal_name(host.host);
    services.push_back({same ? host.host : host.hostname, host.port, same ? "" : host.host});
  }
  return services;
}

bool denies_ssh(const std::vector<wire::GuardRule>& allow, const std::vector<SshService>& hosts,
                const std::string& name) {
  auto host = std::ranges::find_if(
      hosts, [&](const SshService& each) { return (each.alias.empty() ? each.host : each.alias) == name; });
  if (host == hosts.end()) return true;
  std::vector<policy::RuleSpec> specs;
  specs.reserve(allow.size());
  for (const auto& rule : allow) specs.push_back({.host = rule.host, .deny = rule.deny});
  auto rules = policy::Rules::compile(specs);
  auto real = policy::normalise_host(host->host);
  return !rules || !real || rules->denied(*real);
}

Result<wire::GuardEgress> changed_egress(wire::GuardEgress egress, const wire::PolicyChange& change,
                                         const Services& services) {
  TRY(std::visit(Changer{egress, services}, change.what));
  return egress;
}

void LivePolicy::request(const wire::PolicyChange& wanted) {
  // The text marks the change as an operator's.
  Change change{wanted.id, std::visit(Description{services_}, wanted.what), config_};
  auto egress = changed_egress(config_.egress, wanted, services_);
  if (!egress) return tell(wanted.id, false, egress.error().what);
  config_.egress = std::move(*egress);
  // The guard is restarting. The operator is told to try again, so the next guard must not get the change either.
  if (auto sent = send_(config_); !sent) {
    config_ = std::move(change.before);
    return tell(wanted.id, false, sent.error().what);
  }
  pending_.push_back(std::move(change));
}

// Makes a change that no operator asked for. If the guard is dead, the next one gets it.
void LivePolicy::change(std::function<void(wire::GuardConfig&)> apply) {
  Change change{.before = config_, .apply = std::move(apply)};
  change.apply(config_);
  if (send_(config_)) pending_.push_back(std::move(change));
}

void LivePolicy::trust(const std::string& root) {
  if (root.empty() || config_.egress.extra_ca.find(root) != std::string::npos) return;
  // All roots are in one text, and the root of an earlier near side stays in it.
  change([root](wire::GuardConfig& config) {
    if (config.egress.extra_ca.find(root) == std::string::npos) config.egress.extra_ca += "\n" + root;
  });
}

void LivePolicy::set_unrecorded(const std::string& why) {
  if (config_.unrecorded == why) return;
  // While the record is full, a new reason makes no difference to the clients.
  bool was_unrecorded = !config_.unrecorded.empty();
  change([why](wire::GuardConfig& config) { config.unrecorded = why; });
  if (!was_unrecorded)
    tell_(wire::RecordFull{"the guard refuses everything, because its decisions cannot be recorded: " + why});
  if (why.empty()) tell_(wire::RecordBack{});
}

void LivePolicy::set_host_networks(const std::vector<std::string>& networks) {
  if (config_.host_networks == networks) return;
  change([networks](wire::GuardConfig& config) { config.host_networks = networks; });
}

void LivePolicy::accepted() {
  if (pending_.empty()) return;
  if (const auto& first = pending_.front(); !first.what.empty() && !first.is_undone) tell(first.id, true, first.what);
  pending_.pop_front();
}

// Undoes `changes` and tells the operators who requested them. Makes the supervisor's changes again in config_.
// Returns whether an operator requested one.
bool LivePolicy::undo(std::deque<Change> changes, const std::string& why) {
  std::erase_if(changes, [](const Change& each) { return each.is_undone; });
  if (changes.empty()) return false;
  config_ = std::move(changes.front().before);
  bool asked = false;
  for (const auto& each : changes) {
    if (each.apply) each.apply(config_);
    if (each.what.empty()) continue;
    asked = true;
    tell(each.id, false, why);
  }
  return asked;
}

// Returns a change that restores the present config_. If the guard dies before it answers, the next guard gets that
// as well.
std::function<void(wire::GuardConfig&)> LivePolicy::keep_config() const {
  return [now = config_](wire::GuardConfig& config) { config = now; };
}

bool LivePolicy::refused(const std::string& what) {
  if (pending_.empty()) return false;
  if (pending_.front().is_undone) return pending_.pop_front(), true;  // the operator has already been told
  auto changes = std::exchange(pending_, {});
  changes.front().apply = {};
  // The later changes were built on the refused one. Their answers still come, and the guard may have accepted them, so
  // it also gets what remains of them.
  pending_.assign(changes.size() - 1, Change{.is_undone = true});
  Change rest{.before = changes.front().before};
  bool asked = undo(std::move(changes), what);
  rest.apply = keep_config();
  if (!pending_.empty() && send_(config_)) pending_.push_back(std::move(rest));
  return asked;
}

void LivePolicy::guard_is_gone() { undo(std::exchange(pending_, {}), "the guard died; try again when it is back"); }

void LivePolicy::guard_is_back(const wire::GuardConfig& started) {
  if (config_ != started && send_(config_)) pending_.push_back({.before = started, .apply = keep_config()});
}

}  // namespace bottle::session
