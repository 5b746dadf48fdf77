// Combines the policy with the parts of a decision that are not rules: hosts of ssh, fixed addresses, names that
// carry data, and secrets in names. The guard and the commands that test a policy (app/egress) call these functions,
// so that both give the same answer.
#include "guard/core/judge.h"

#include <algorithm>

#include "http/head.h"
#include "scan/dns/dns_name.h"

namespace bottle::guard {
namespace {

policy::Decision literal_refused() {
  return {.code = "ip_literal", .reason = "the destination is an IP address, not a name"};
}

}  // namespace

ConnectJudgement judge_connect(const Config& config, const policy::Host& host, uint16_t port) {
  using Way = ConnectJudgement::Way;
  // A host of `ssh` needs no rule, but a rule with `deny` also holds for it.
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
  // For a tunnel, judge_connect() has already decided this.
  if (!tls && host.literal && !config.fixed(host)) return literal_refused();
  return config.rules.request(host, port, method, target);
}

bool is_written_out(const Config& config, const policy::Host& host) {
  return host.literal || config.rules.names(host) ||
         std::ranges::any_of(config.ssh, [&](const SshHost& each) { return each.host.name == host.name; });
}

std::string_view carried_by_name(const Config& config, const policy::Host& host) {
  return is_written_out(config, host) ? "" : scan::carries_data(host.name);
}

std::string about_carrier(std::string_view why) {
  return "the name " + std::string(why) +
         ", which can carry data out; to allow this name, add a rule for the full name";
}

// A secret may also be cut into labels, so the name is searched without its dots, too. A name that the operator has
// written in full is not searched.
bool names_secret(const Config& config, const policy::Host& host) {
  if (is_written_out(config, host)) return false;
  if (config.secrets.any_in(host.name)) return true;
  std::string joined = host.name;
  std::erase(joined, '.');
  return config.scanner->has_known(host.name) || config.scanner->has_known(joined);
}

bool is_common_method(std::string_view method) {
  for (std::string_view each : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT"})
    if (method == each) return true;
  return false;
}

bool is_for_here(std::string_view method) { return method != "CONNECT" && method != "TRACE"; }

std::string malformed(std::string_view method, std::string_view target) {
  // The parser of real requests decides, so that both always agree. `a` stands for any host.
  std::string text = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  http::Head head;
  auto parsed = http::parse_request(text, head);
  if (parsed == Parse::bad) return head.why;
  if (parsed != Parse::ok || head.method != method || head.target != target) return "it is not exactly one request";
  return is_for_here(method) ? "" : "the guard does not accept this method in such a request";
}

}  // namespace bottle::guard
