// The guard's own code (guard/core) compiles the policy and judges requests, so an answer here cannot differ from a
// guard's decision. Only the form of a request on the wire is imitated: for https, a CONNECT is judged first, and the
// request only if the guard would see it.
//
// A record lacks many inputs of a decision: queries, headers, addresses, and the requests in tunnels that were not
// inspected. If the outcome may depend on any of these, the replay reports that it cannot judge.
#include "app/egress/candidate.h"

#include <algorithm>
#include <array>

#include "app/world/own_directories.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "manifest/edit.h"
#include "plan/plan.h"
#include "session/guard_link/guard_link.h"

namespace bottle::app {
namespace {

// Makes the plan whose policy is tested. No value is read: a missing variable is a warning of the plan.
Result<plan::Plan> plan_of(const PolicySource& source) {
  if (!source.config.empty()) {
    auto policy = TRY(manifest::parse_guard({source.config, TRY(read_file(source.config, 4 << 20))}));
    return plan::for_guard(policy);
  }
  auto manifest = TRY(load_manifest(current_directory()));
  std::string agent = source.agent;
  if (agent.empty() && manifest.agents.size() == 1) agent = manifest.agents.begin()->first;
  if (agent.empty()) return fail(Code::invalid, "no agent was given", "add --agent NAME, or --config FILE");
  auto facts = gather_facts(current_directory());
  facts.images = image_facts(manifest, "");
  return plan::make(manifest,
                    {.agent = agent, .prompt = "-", .headless = true, .if_unset = plan::Options::IfUnset::warn}, facts);
}

// Returns whether the compiled rule was made from this rule of the manifest, which also names its preset.
bool is_of(const manifest::AllowRule& rule, const policy::RuleSpec& spec) {
  return rule.host == spec.host && rule.ports == spec.ports && rule.methods == spec.methods && rule.paths == spec.paths;
}

// Returns whether a request may have been refused because of its query or a header, which the record does not contain.
// Records of earlier versions do not say what a refused request lacked.
bool may_follow_from_unrecorded(const wire::Decision& decision) {
  if (decision.code != "not_allowed" || decision.kind != wire::DecisionKind::http) return false;
  using policy::Lacks;
  return !decision.lacks || decision.lacks == Lacks::query || decision.lacks == Lacks::header;
}

// Holds the parts of a URL. The target is in origin form.
struct Url {
  bool tls = false;
  policy::Authority authority;
  std::string target;
};

// Splits a URL as an HTTP client would before it sends a request.
Result<Url> parse_url(std::string_view text) {
  auto bad = [&](const std::string& why) {
    return fail(Code::invalid, "'" + std::string(text) + "' is not a URL to test: " + why,
                "write it as https://host/path or http://host:port/path");
  };
  Url url{.tls = text.starts_with("https://")};
  if (!url.tls && !text.starts_with("http://")) return bad("it begins with neither https:// nor http://");
  std::string_view rest = text.substr(url.tls ? 8 : 7);
  size_t end = rest.find_first_of("/?#");
  if (rest.substr(0, end).find('@') != rest.npos) return bad("it names a user, and programs send that in a header");
  auto authority = policy::parse_authority(rest.substr(0, end), url.tls ? 443 : 80);
  if (!authority) return bad(authority.error().what);
  url.authority = *authority;
  // A client sends a path even if the URL has none, and never sends the fragment.
  url.target = end == rest.npos ? "/" : std::string(rest.substr(end, rest.find('#') - end));
  if (url.target.empty() || url.target[0] != '/') url.target = "/" + url.target;
  return url;
}

Way way_of(guard::ConnectJudgement::Way way) {
  switch (way) {
    case guard::ConnectJudgement::Way::refused:
      return Way::refused;
    case guard::ConnectJudgement::Way::ssh:
      return Way::ssh;
    case guard::ConnectJudgement::Way::inspected:
      return Way::inspected;
    case guard::ConnectJudgement::Way::blind:
      return Way::blind;
  }
  return Way::refused;
}

}  // namespace

Result<CandidatePolicy> CandidatePolicy::load(const PolicySource& source) {
  if (!source.config.empty() && !source.agent.empty())
    return fail(Code::invalid, "--agent and --config cannot be combined", "leave out one of them");
  auto plan = TRY(plan_of(source));
  return of(plan);
}

Result<CandidatePolicy> CandidatePolicy::of(const plan::Plan& plan) {
  // The values of secrets have no effect on a decision, but the hosts to which they are bound have.
  return make(plan.egress,
              session::guard_config(plan, {.guard_ip = "127.0.0.1", .near_share = {.secrets_stay = true}}));
}

Result<> check_plan(const plan::Plan& plan) {
  for (const auto& skill : plan.skills) TRY(check_own_tree(skill));
  TRY(during("the guard would refuse the policy", CandidatePolicy::of(plan)));
  return {};
}

Result<CandidatePolicy> CandidatePolicy::make(const manifest::Egress& egress, const wire::GuardConfig& config) {
  CandidatePolicy policy;
  policy.egress_ = egress;
  policy.config_ = TRY(guard::compile(config));
  return policy;
}

std::string word_of(Way way) {
  constexpr std::array kWords = {"refused", "ssh", "inspected", "blind", "plain"};
  static_assert(kWords.size() == static_cast<size_t>(Way::plain) + 1);
  return kWords[static_cast<size_t>(way)];
}

CandidatePolicy::Verdict CandidatePolicy::verdict_of(const policy::Decision& decision, Way way) const {
  Verdict verdict{.allowed = decision.allowed,
                  .code = std::string(decision.code),
                  .reason = decision.reason,
                  .way = decision.allowed ? way : Way::refused};
  if (!decision.rule) return verdict;
  auto rule = std::ranges::find_if(egress_.allow, [&](const auto& each) { return is_of(each, *decision.rule); });
  if (rule != egress_.allow.end()) verdict.preset = rule->preset;
  verdict.rule = manifest::rule_yaml({.host = decision.rule->host,
                                      .ports = decision.rule->ports,
                                      .methods = decision.rule->methods,
                                      .paths = decision.rule->paths});
  return verdict;
}

// Changes an allowed decision to a refusal if the name carries data. The guard does this when it dials, after the rules
// have allowed the request.
policy::Decision CandidatePolicy::unless_name_carries(policy::Decision decision, const policy::Host& host,
                                                      uint16_t port) const {
  bool is_resolved = decision.allowed && !config_->fixed(host) && !config_->lan_route(host, port);
  auto why = is_resolved ? guard::carried_by_name(*config_, host) : "";
  if (why.empty()) return decision;
  return {.code = "name_carries_data", .reason = guard::about_carrier(why), .rule = decision.rule};
}

CandidatePolicy::Verdict CandidatePolicy::judge_connect(const policy::Host& host, uint16_t port) const {
  auto judged = guard::judge_connect(*config_, host, port);
  Verdict verdict = verdict_of(unless_name_carries(judged.decision, host, port), way_of(judged.way));
  verdict.judges_requests = verdict.allowed && judged.decision.restricted;
  return verdict;
}

CandidatePolicy::Verdict CandidatePolicy::judge_request(const policy::Host& host, uint16_t port, bool tls,
                                                        std::string_view method, std::string_view target) const {
  auto decision = guard::judge_request(*config_, host, port, tls, method, target);
  return verdict_of(unless_name_carries(std::move(decision), host, port), tls ? Way::inspected : Way::plain);
}

Result<CandidatePolicy::Verdict> CandidatePolicy::judge(const std::string& method, const std::string& text) const {
  Url url = TRY(parse_url(text));
  const auto& [host, port] = url.authority;
  if (url.tls)
    // If a tunnel is refused or not inspected, this decides about everything in it.
    if (Verdict tunnel = judge_connect(host, port); tunnel.way != Way::inspected) return tunnel;
  if (std::string why = guard::malformed(method, url.target); !why.empty())
    return fail(Code::invalid, "the guard answers '" + method + " " + text + "' with 400: " + why,
                "write it as a client sends it, with %20 for a space");
  return judge_request(host, port, url.tls, method, url.target);
}

CandidatePolicy::Replayed CandidatePolicy::replay(const wire::Decision& decision) const {
  using Kind = wire::DecisionKind;
  bool connect = decision.kind == Kind::connect || decision.kind == Kind::ssh, http = decision.kind == Kind::http;
  bool was_allowed = decision.is_allow();
  if ((!connect && !http) || (!was_allowed && !decision.is_deny())) return {};
  // The other codes follow from an address, a key, a secret or the client's bytes, none of which the record contains.
  if (!was_allowed && decision.code != "not_allowed" && decision.code != "ip_literal") return {};
  auto host = policy::normalise_host(decision.host);
  bool cut =
      http && (decision.method.empty() || decision.path.empty() || decision.path.size() >= wire::DecisionLimits::kPath);
  if (!host || decision.port == 0 || cut) return {Change::unjudged, {}};
  // Addresses are also refused with TLS, where the guard judges them when the client connects.
  Verdict now = connect ? judge_connect(*host, decision.port)
                        : judge_request(*host, decision.port, false, decision.method, decision.path);
  // It could look as if the rules allowed the request.
  bool lacks_cause = !was_allowed && now.allowed && may_follow_from_unrecorded(decision);
  // The record does not contain the requests in a tunnel that was not inspected.
  bool lacks_requests = was_allowed && connect && decision.code == "allowed" && now.judges_requests;
  if (lacks_cause || lacks_requests) return {Change::unjudged, {}};
  // The record does not say whether the request came over TLS. Only port 80 is almost always plain.
  if (http && now.allowed && decision.port != 80) now.way = Way::inspected;
  if (now.allowed == was_allowed) return {Change::none, std::move(now)};
  return {now.allowed ? Change::allowed : Change::refused, std::move(now)};
}

}  // namespace bottle::app
