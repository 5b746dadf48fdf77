// The operator sees the far side's texts, and some of them are meant to be copied into the manifest. A machine that
// was taken over could propose a rule that opens more than the operator notices at a glance. A proposal is therefore
// parsed and written again by our own code, and it may name only the one host that was refused.
#include "remote/link/far_message.h"

#include "manifest/edit.h"
#include "policy/host.h"
#include "session/ledger/files.h"

namespace bottle::remote {
namespace {

constexpr size_t kLongestRule = 1000;

// Parses a rule that names one plain host, by the manifest's own grammar.
Result<manifest::AllowRule> plain_rule(const std::string& text) {
  if (text.size() > kLongestRule) return fail(Code::limit, "the rule is too long");
  auto rule = TRY(manifest::rule_from_yaml(text));
  auto host = TRY(policy::normalise_host(rule.host));  // fails for a pattern
  if (host.literal) return fail(Code::invalid, "the rule is for an address, not for a name");
  rule.host = host.name;
  return rule;
}

std::string proposal(const std::string& text, const std::string& refused_host) {
  auto rule = plain_rule(text);
  auto refused = policy::parse_authority(refused_host, 443);
  if (!rule || !refused || refused->host.name != rule->host) return "";
  if (!rule->ports.empty() && rule->ports != std::vector<uint16_t>{refused->port}) return "";
  return manifest::rule_yaml(*rule);
}

std::vector<std::string> plain_hosts(const std::vector<std::string>& rules) {
  std::vector<std::string> plain;
  for (const auto& text : rules)
    if (auto rule = plain_rule(text); rule && rule->ports.empty() && rule->methods.empty() && rule->paths.empty())
      plain.push_back(manifest::rule_yaml(*rule));
  return plain;
}

template <class... Kinds>
bool is_one_of(const wire::Event& event) {
  return (std::holds_alternative<Kinds>(event) || ...);
}

}  // namespace

bool comes_from_far(const wire::Event& event) {
  return is_one_of<wire::Step, wire::AgentRuns, wire::Attached, wire::Denied, wire::SecretToModel, wire::LimitReached,
                   wire::PolicyChanged, wire::GuardLost, wire::GuardBack, wire::GuardError, wire::RecordFull,
                   wire::RecordBack, wire::Warning, wire::Collecting>(event);
}

Result<wire::Event> read_far_event(std::string_view bytes) {
  auto event = TRY(wire::decode<wire::Event>(bytes, wire::From::foreign));
  if (auto* denied = std::get_if<wire::Denied>(&event); denied && denied->allow)
    denied->allow = proposal(*denied->allow, denied->host);
  return event;
}

Result<wire::SessionResult> read_far_result(std::string_view bytes) {
  auto result = TRY(wire::decode<wire::SessionResult>(bytes, wire::From::foreign));
  // The far side has only one record. This drops seals of other records, which are on this machine.
  std::erase_if(result.audit, [](const wire::AuditSeal& seal) { return seal.file != session::kAudit; });
  if (result.audit.size() > 1) result.audit.resize(1);
  if (!result.egress) return result;
  for (auto& denied : result.egress->denied) denied.allow = proposal(denied.allow, denied.host);
  if (result.egress->recorded) result.egress->recorded = plain_hosts(*result.egress->recorded);
  return result;
}

}  // namespace bottle::remote
