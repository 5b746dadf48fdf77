#include "guard/core/judge.h"

namespace bottle::guard {
namespace {

policy::Decision literal_refused() { return {.code = "ip_literal", .reason = "an address instead of a name"}; }

}  // namespace

ConnectJudgement judge_connect(const Config& config, const policy::Host& host, uint16_t port) {
  using Way = ConnectJudgement::Way;
  if (config.ssh_host(host, port) && !config.rules.denied(host))
    return {Way::ssh, {.allowed = true, .code = "allowed"}};
  if (host.literal && !config.fixed(host)) return {Way::refused, literal_refused()};
  auto decision = config.rules.connect(host, port);
  if (!decision.allowed) return {Way::refused, std::move(decision)};
  bool inspects = decision.inspect || config.secrets.of(host).scanned();
  return {inspects ? Way::inspected : Way::blind, std::move(decision)};
}

policy::Decision judge_request(const Config& config, const policy::Host& host, uint16_t port, bool tls,
                               std::string_view method, std::string_view target) {
  if (!tls && host.literal && !config.fixed(host)) return literal_refused();
  return config.rules.request(host, port, method, target);
}

}  // namespace bottle::guard
