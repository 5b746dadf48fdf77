// Plans what the guard lets through: the rules of the manifest, and those that bottle adds for the agent's provider and
// for ssh.
#include <arpa/inet.h>

#include <algorithm>
#include <set>

#include "plan/parts.h"
#include "plan/provider.h"

namespace bottle::plan {
namespace {

using manifest::AllowRule;

// Returns whether an address must never be a service of the local network: loopback, metadata, multicast and broadcast.
bool never_lan(const std::string& ip) {
  unsigned char b[16];
  if (::inet_pton(AF_INET, ip.c_str(), b) == 1)
    return b[0] == 0 || b[0] == 127 || (b[0] == 169 && b[1] == 254) || b[0] >= 224;
  if (::inet_pton(AF_INET6, ip.c_str(), b) != 1) return true;
  bool v4 = std::all_of(b, b + 10, [](auto byte) { return byte == 0; });  // ::, ::1, and IPv4-compatible addresses
  return v4 || b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

const std::string& real_name(const manifest::SshHost& host) {
  return host.hostname.empty() ? host.host : host.hostname;
}

}  // namespace

void set_policy(Plan& plan, const manifest::Bottle& bottle, const Facts& facts) {
  plan.egress = bottle.egress;
  plan.scan = bottle.scan;
  for (auto* files : {&plan.egress.extra_ca, &plan.scan.secrets, &plan.scan.rules})
    for (auto& file : *files) file = expand(file, facts);
}

void allow_ssh(Plan& plan, const manifest::Bottle& bottle, const Facts& facts) {
  for (manifest::SshHost host : bottle.ssh) {
    if (host.known_host_key.empty()) {
      plan.warnings.push_back("ssh host " + host.host +
                              " stays closed, because the guard cannot recognize the host without its host key");
      continue;
    }
    host.identity_file = expand(host.identity_file, facts);
    // The guard needs no rule for the host's port. A rule for the name would hide those of wider patterns, which may
    // allow other ports.
    plan.ssh.push_back(std::move(host));
  }
}

// Only the rules with the most specific pattern apply to a host. So a rule for exactly the provider's host would hide
// one that is for more hosts, with its restrictions, unless it has the same ones.
void allow_provider(Plan& plan) {
  auto& allow = plan.egress.allow;
  for (const auto& host : api_hosts(plan.provider)) {
    bool named = false;
    for (auto& rule : allow)
      if (rule.host == host)
        named = rule.inspect = true;  // keep the operator's own rule, which may be narrower, and inspect the host
    if (named) continue;
    // Of the patterns that cover a host, the longest is the most specific.
    std::string pattern;
    for (const auto& rule : allow)
      if (rule.host.size() > pattern.size() && manifest::covers(rule.host, host)) pattern = rule.host;
    std::vector<AllowRule> own;
    for (const auto& rule : allow) {
      if (pattern.empty() || rule.host != pattern) continue;
      own.push_back(rule);
      own.back().host = host;
      own.back().inspect = true;
      // A limit counts all hosts of its rule's pattern, and these as well.
      own.back().limit = {};
      // A rule for every host is not meant for the provider, which works without any rule. Its `on_secret` would end
      // the session as soon as the agent has read a secret, or send secrets to the model in clear.
      if (pattern == "*")
        own.back() = {.host = host, .ports = {443}, .inspect = true, .on_injection = rule.on_injection};
    }
    if (own.empty()) own.push_back({.host = host, .ports = {443}, .inspect = true});
    allow.insert(allow.begin(), own.begin(), own.end());
  }
}

Result<> check_lan(const Plan& plan) {
  std::set<std::string> names;
  for (const auto& route : plan.egress.lan) {
    std::string where = "egress.lan: " + route.name;
    size_t colon = route.to.rfind(':');
    std::string ip = route.to.substr(0, colon);
    if (ip.starts_with("[") && ip.ends_with("]")) ip = ip.substr(1, ip.size() - 2);
    unsigned char bytes[16];
    if (::inet_pton(AF_INET, ip.c_str(), bytes) != 1 && ::inet_pton(AF_INET6, ip.c_str(), bytes) != 1)
      return fail(Code::invalid, where + ": '" + route.to + "' is a name",
                  "use the service's address, because the address of a name could change");
    if (::inet_pton(AF_INET, route.name.c_str(), bytes) == 1 || route.name.find(':') != std::string::npos)
      return fail(Code::invalid, where + ": a service needs a name", "for example, name: tracker.bottle");
    if (never_lan(ip))
      return fail(
          Code::invalid, where + ": " + route.to + " is not an address of the local network",
          "a service on this machine must listen on an address that containers can reach, such as the bridge's");
    if (!names.insert(route.name).second)
      return fail(Code::conflict, where + " is defined twice", "remove one of the two");
    if (std::ranges::any_of(plan.egress.allow, [&](const AllowRule& rule) { return rule.host == route.name; }) ||
        std::ranges::any_of(plan.ssh, [&](const auto& host) { return real_name(host) == route.name; }) ||
        plan.egress.hosts.contains(route.name))
      return fail(Code::conflict, where + " is also a host of egress.allow, egress.hosts, ssh or the agent's provider",
                  "choose another name for the service");
  }
  return {};
}

void warn_of_unreachable(Plan& plan) {
  for (const auto& rule : plan.egress.allow)
    if (manifest::is_address(rule.host) && !plan.egress.hosts.contains(rule.host))
      plan.warnings.push_back("egress.allow: the guard refuses " + rule.host +
                              ", because it is an address and not a name; give it a name in egress.hosts");
  for (const auto& secret : plan.secrets)
    for (const auto& host : secret.hosts)
      // The rule's pattern may cover the host, or the reverse.
      if (std::ranges::none_of(plan.egress.allow, [&](const AllowRule& rule) {
            return manifest::covers(rule.host, host) || manifest::covers(host, rule.host);
          }))
        plan.warnings.push_back("secret " + secret.name + " is for " + host + ", which egress.allow does not list");
}

Result<> check_limits(const Plan& plan) {
  // Without prices, the estimated cost stays 0 and never reaches the limit.
  bool cost = plan.egress.limit.cost > 0 ||
              std::ranges::any_of(plan.egress.allow, [](const AllowRule& rule) { return rule.limit.cost > 0; });
  if (!cost || !plan.egress.prices.empty()) return {};
  return fail(Code::invalid, "the cost is limited, but nothing says what the models cost",
              "add egress.prices, such as prices: {\"some-model-*\": {input: 3, output: 15}}, per million tokens");
}

}  // namespace bottle::plan
