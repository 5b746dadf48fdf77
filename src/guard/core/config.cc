// Compiles a configuration from what the owner of the control channel sent. Everything is parsed and checked here,
// before any of it takes effect, so that an invalid configuration leaves the old one as it was. Only the roots for TLS
// are parsed later, at the first connection that needs them, because that costs time and memory.
//
// A LAN route becomes a rule like the others, with an address beside it, so that the same code decides about methods,
// paths and denials of all hosts.
#include "guard/core/config.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <set>
#include <span>

#include "base/text/base64.h"
#include "base/text/words.h"
#include "guard/net/tls.h"
#include "http/head.h"
#include "policy/path.h"

namespace bottle::guard {
namespace {

using policy::Endpoint;

// `login` is user:password without encoding. In the URL, they are percent-encoded, as in all clients.
Result<ParentProxy> parse_parent(std::string text, std::string login) {
  ParentProxy parent;
  if (text.starts_with("http://")) text.erase(0, 7);
  while (text.ends_with('/')) text.pop_back();
  // A password may contain '@', so the last one ends it.
  if (size_t at = text.rfind('@'); at != text.npos) {
    login = policy::percent_decoded(std::string_view(text).substr(0, at));
    text.erase(0, at + 1);
  }
  // Basic needs the colon (RFC 7617), even without a password.
  if (!login.empty() && login.find(':') == login.npos) login += ':';
  if (!login.empty()) parent.authorization = "Basic " + base64(login);
  auto authority = policy::parse_authority(text, 3128);
  if (!authority) return fail(Code::invalid, "parent_proxy is not http://host:port");
  parent.host = authority->host;
  parent.port = authority->port;
  return parent;
}

// Takes the key from a line as in known_hosts, with or without a type before it. The blob of every key begins with a
// length below 256, which is "AAAA" in Base64.
Result<SshHost> compile_ssh(const wire::GuardSshHost& wanted) {
  SshHost ssh{.port = wanted.port};
  ssh.host = TRY(policy::normalise_host(wanted.host));
  const std::string& key = wanted.key;
  size_t blob = key.find("AAAA");
  if (blob == key.npos) return fail(Code::invalid, "ssh host " + ssh.host.name + " has no host key");
  auto decoded = from_base64(std::string_view(key).substr(blob, key.find_first_of(" \t\r\n", blob) - blob));
  // The shortest blob has a length, the name of a type and some bytes of key.
  if (!decoded || decoded->size() < 16)
    return fail(Code::invalid, "the host key of ssh host " + ssh.host.name + " is not base64");
  ssh.key = std::move(*decoded);
  return ssh;
}

// Returns whether the address cannot be a service of a local network: the guard itself, link-local addresses such as
// the machine's metadata service, and multicast and broadcast addresses.
bool never_lan(const policy::Address& address) {
  const auto& b = address.bytes;
  if (!address.v6) return b[0] == 0 || b[0] == 127 || (b[0] == 169 && b[1] == 254) || b[0] >= 224;
  // `::`, `::1` and the addresses that stand for IPv4 ones begin with ten zero bytes. The latter would be a second
  // spelling.
  bool v4 = std::all_of(b.begin(), b.begin() + 10, [](uint8_t byte) { return byte == 0; });
  return v4 || b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

// Returns the rule of the route, and adds its address to the configuration. `rules` are those that are not routes.
// Those with the name of the route must be for its port, because the operator can add some while the session runs.
Result<policy::RuleSpec> add_lan(Config& config, const wire::GuardLanRoute& wanted,
                                 std::span<const policy::RuleSpec> rules) {
  auto host = TRY(policy::normalise_host(wanted.name));
  auto bad = [&](const std::string& what) { return fail(Code::invalid, "LAN route \"" + host.name + "\": " + what); };
  auto to = policy::parse_endpoint(wanted.to);
  if (host.literal) return bad("its name is an address");
  if (!to || to->port == 0) return bad("\"to\" is not ip:port");
  // A route to the guard itself, or to a metadata service, would bypass every other rule.
  if (never_lan(to->address) ||
      std::ranges::any_of(config.listen, [&](const Endpoint& own) { return own.address == to->address; }))
    return bad(to_string(*to) + " is not an address of a local network");
  LanRoute route{*to, static_cast<uint16_t>(wanted.tls ? 443 : 80)};
  // A rule for another port of the name would lead to wherever the name resolves to.
  auto leads_elsewhere = [&](const policy::RuleSpec& rule) {
    return rule.host == host.name && !rule.deny && rule.ports != std::vector{route.port};
  };
  if (std::ranges::any_of(rules, leads_elsewhere) || config.hosts.contains(host.name))
    return bad("another rule has the same name");
  if (!config.lan.emplace(host.name, route).second) return bad("it appears twice");
  return policy::RuleSpec{.host = host.name,
                          .ports = {route.port},
                          .methods = wanted.methods,
                          .paths = wanted.paths,
                          .inspect = wanted.tls};
}

// Compiles everything that depends on the values of secrets.
Result<> add_secrets(Config& config, const wire::GuardConfig& wanted) {
  std::vector<Secret> secrets;
  for (const auto& each : wanted.secrets) secrets.push_back(TRY(compile_secret(each)));
  std::vector<policy::HostPattern> models;
  for (const auto& each : wanted.models) models.push_back(TRY(policy::HostPattern::compile(each)));
  // This comes before the patterns of the models move into the secrets.
  config.limits = TRY(Limits::compile(wanted.egress, models));
  config.secrets.compile(std::move(secrets), std::move(models));
  config.scanner = TRY(Scanner::make(config.secrets, wanted));
  return {};
}

Result<Endpoint> endpoint(const std::string& text) {
  auto parsed = policy::parse_endpoint(text);
  if (!parsed) return fail(Code::invalid, "\"" + text + "\" is not ip:port");
  return *parsed;
}

// Compiles what happens to a request with a secret and to an answer with instructions.
Result<> add_reactions(Config& config, const wire::GuardEgress& egress) {
  config.on_secret.set_general(egress.on_secret);
  for (const auto& [name, what] : egress.on_secret_for) config.on_secret.set_for_name(name, what);
  config.on_injection.set_general(egress.on_injection);
  for (const auto& rule : egress.allow) {
    TRY(config.on_secret.add_rule(rule.host, rule.on_secret));
    TRY(config.on_injection.add_rule(rule.host, rule.on_injection));
  }
  for (const auto& route : egress.lan) {
    TRY(config.on_secret.add_rule(route.name, {}));
    TRY(config.on_injection.add_rule(route.name, {}));
  }
  config.on_secret.build();
  config.on_injection.build();
  return {};
}

// Adds the addresses on which the guard listens, and the names that it answers itself.
Result<> add_places(Config& config, const wire::GuardConfig& wanted) {
  for (const auto& each : wanted.listen) config.listen.push_back(TRY(endpoint(each)));
  if (!wanted.dns.empty()) {
    config.dns = TRY(endpoint(wanted.dns));
    if (config.dns->port == 0) config.dns->port = 53;
  }
  for (const auto& [name, address] : wanted.names) {
    auto parsed = policy::parse_address(address);
    if (!parsed) return fail(Code::invalid, "names: \"" + name + "\" has no valid address");
    config.names[TRY(policy::normalise_host(name)).name] = *parsed;
  }
  return {};
}

// Adds the rules, the fixed addresses and the LAN routes. The routes come last, because others limit their names.
Result<> add_rules(Config& config, const wire::GuardEgress& egress) {
  // These settings are those of a host, so a rule for another port must not open a tunnel beside them.
  std::set<std::string> inspected;
  for (const auto& each : egress.allow)
    if (each.on_secret || each.on_injection) inspected.insert(lower(each.host));
  std::vector<policy::RuleSpec> rules;
  for (const auto& each : egress.allow) {
    if (each.host.empty()) return fail(Code::invalid, "a rule has no host");
    rules.push_back({.host = each.host,
                     .ports = each.ports,
                     .methods = each.methods,
                     .paths = each.paths,
                     .inspect = each.inspect || inspected.contains(lower(each.host)),
                     .deny = each.deny});
  }
  for (const auto& [name, list] : egress.hosts) {
    auto& to = config.hosts[TRY(policy::normalise_host(name)).name];
    for (const auto& each : list) to.push_back(TRY(endpoint(each)));
    if (to.empty()) return fail(Code::invalid, "hosts: \"" + name + "\" has no address");
  }
  size_t named = rules.size();
  for (const auto& each : egress.lan)
    rules.push_back(TRY(add_lan(config, each, std::span<const policy::RuleSpec>(rules).first(named))));
  config.rules = TRY(policy::Rules::compile(rules));
  return {};
}

}  // namespace

Result<std::shared_ptr<Config>> compile(const wire::GuardConfig& wanted) {
  auto config = std::make_shared<Config>();
  const auto& egress = wanted.egress;
  TRY(add_places(*config, wanted));
  TRY(add_rules(*config, egress));
  TRY(add_reactions(*config, egress));
  if (!egress.parent_proxy.empty()) config->parent = TRY(parse_parent(egress.parent_proxy, egress.parent_login));
  config->resolver = egress.resolver;
  if (!config->resolver.empty()) TRY(endpoint(config->resolver));
  // A PEM file need not end with a line end.
  config->roots = wanted.ca_bundle + "\n" + egress.extra_ca;
  TRY(add_secrets(*config, wanted));
  for (const auto& each : wanted.ssh) config->ssh.push_back(TRY(compile_ssh(each)));
  for (const auto& each : wanted.relay) {
    config->relay_all |= each == "*";
    config->relay.push_back(TRY(policy::HostPattern::compile(each)));
  }
  for (const auto& each : wanted.host_networks) {
    auto prefix = policy::parse_prefix(each);
    if (!prefix) return fail(Code::invalid, "host_networks: \"" + each + "\" is not a network");
    config->host_networks.push_back(*prefix);
  }
  config->unrecorded = wanted.unrecorded;
  config->ssh_agent = wanted.ssh_agent;
  config->http2 = egress.http2;
  config->idle_ms = int64_t{egress.idle_seconds} * 1000;
  return config;
}

Config::~Config() { SSL_CTX_free(upstream_tls_); }

std::string_view Config::refusal(const policy::Address& address) const {
  if (auto why = policy::special_range(address); !why.empty()) return why;
  std::string_view why;
  for (const auto& network : host_networks) {
    if (!network.contains(address)) continue;
    why = "in a local network of the machine that the guard runs on";
    if (network.bits == (address.v6 ? 128 : 32)) return "an address of the machine that the guard runs on";
  }
  return why;
}

const std::vector<Endpoint>* Config::fixed(const policy::Host& host) const {
  auto found = hosts.find(host.name);
  return found == hosts.end() ? nullptr : &found->second;
}

const LanRoute* Config::lan_route(const policy::Host& host, uint16_t port) const {
  auto found = lan.find(host.name);
  return found == lan.end() || found->second.port != port ? nullptr : &found->second;
}

bool Config::relayed(const policy::Host& host) const {
  return relay_all || std::ranges::any_of(relay, [&](const auto& pattern) { return pattern.matches(host); });
}

const SshHost* Config::ssh_host(const policy::Host& host, uint16_t port) const {
  for (const auto& each : ssh)
    if (each.host.name == host.name && each.port == port) return &each;
  return nullptr;
}

std::string Config::recordable(std::string_view text) const {
  constexpr size_t kMost = 4096;  // much more than a line shows, so that no secret is cut where the line ends
  std::string clean = secrets.empty() ? std::string(text) : secrets.masked(text);
  if (clean.size() > kMost) clean.resize(kMost);
  return scanner->masked(std::move(clean));
}

ssl_ctx_st* Config::upstream_tls() const {
  if (!upstream_tls_) upstream_tls_ = make_upstream_context(roots);
  return upstream_tls_;
}

}  // namespace bottle::guard
