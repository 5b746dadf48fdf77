#include "guard/core/config.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "guard/core/tls.h"
#include "guard/protocol/http_head.h"

namespace bottle::guard {
namespace {

using nlohmann::json;
using policy::Endpoint;

Result<policy::RuleSpec> parse_rule(const json& each) {
  policy::RuleSpec rule;
  if (each.is_string()) {
    rule.host = each;
    return rule;
  }
  for (const auto& [key, value] : each.items()) {
    if (key == "host") rule.host = value;
    else if (key == "ports") rule.ports = value.get<std::vector<uint16_t>>();
    else if (key == "methods") rule.methods = value.get<std::vector<std::string>>();
    else if (key == "paths") rule.paths = value.get<std::vector<std::string>>();
    else if (key == "inspect") rule.inspect = value.is_boolean() ? value.get<bool>() : value == "full";
    else if (key == "deny") rule.deny = value;
    else
      return fail(Code::invalid,
                  "unknown key \"" + key + "\" in a rule");  // a restriction not understood must not be dropped
  }
  if (rule.host.empty()) return fail(Code::invalid, "a rule without a host");
  return rule;
}

std::string without_percent(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    bool escape = text[i] == '%' && i + 2 < text.size();
    auto end = text.data() + std::min(i + 3, text.size());
    if (escape && std::from_chars(text.data() + i + 1, end, value, 16).ptr == end) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// The user and the password are percent-encoded, as every client takes them.
Result<ParentProxy> parse_parent(std::string text) {
  ParentProxy parent;
  std::string login;
  if (text.starts_with("http://")) text.erase(0, 7);
  while (text.ends_with('/')) text.pop_back();
  if (size_t at = text.rfind('@'); at != text.npos) {
    login = without_percent(std::string_view(text).substr(0, at));
    text.erase(0, at + 1);
  }
  if (!login.empty() && login.find(':') == login.npos) login += ':';
  if (!login.empty()) parent.authorization = "Basic " + base64_encode(login);
  auto authority = policy::parse_authority(text, 3128);
  if (!authority) return fail(Code::invalid, "parent_proxy is not http://host:port");
  parent.host = authority->host;
  parent.port = authority->port;
  return parent;
}

Result<SshHost> parse_ssh(const json& each) {
  SshHost ssh{.port = each.value("port", uint16_t{22})};
  ssh.host = TRY(policy::normalise_host(each.value("host", "")));
  std::string key = each.value("key", "");
  size_t blob = key.find("AAAA");
  if (blob == key.npos) return fail(Code::invalid, "ssh host " + ssh.host.name + ": no host key");
  auto decoded = base64_decode(std::string_view(key).substr(blob, key.find_first_of(" \t\r\n", blob) - blob));
  if (!decoded || decoded->size() < 16)
    return fail(Code::invalid, "ssh host " + ssh.host.name + ": the host key is not base64");
  ssh.key = std::move(*decoded);
  return ssh;
}

// The guard itself, the machine's metadata and everybody at once are no services of a local network.
bool never_lan(const policy::Address& address) {
  const auto& b = address.bytes;
  if (!address.v6) return b[0] == 0 || b[0] == 127 || (b[0] == 169 && b[1] == 254) || b[0] >= 224;
  bool v4 = std::all_of(b.begin(), b.begin() + 10, [](uint8_t byte) { return byte == 0; });
  return v4 || b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

// Its rule joins the others, so that methods, paths and denials are decided in one place; only the address is the
// route's own.
Result<> parse_lan(Config& config, const json& each, std::vector<policy::RuleSpec>& rules) {
  for (const auto& [key, unused] : each.items())
    if (key != "name" && key != "to" && key != "methods" && key != "paths" && key != "tls")
      return fail(Code::invalid, "unknown key \"" + key + "\" in a LAN route");
  auto host = TRY(policy::normalise_host(each.value("name", "")));
  auto bad = [&](const std::string& what) { return fail(Code::invalid, "LAN route \"" + host.name + "\": " + what); };
  auto to = policy::parse_endpoint(each.value("to", ""));
  if (host.literal) return bad("an address instead of a name");
  if (!to || to->port == 0) return bad("\"to\" is not ip:port");
  if (never_lan(to->address) ||
      std::ranges::any_of(config.listen, [&](const Endpoint& own) { return own.address == to->address; }))
    return bad(to_string(*to) + " is not a service of the local network");
  if (std::ranges::any_of(rules, [&](const auto& rule) { return rule.host == host.name && !rule.deny; }) ||
      config.hosts.contains(host.name))
    return bad("its name is that of another rule");
  bool tls = each.value("tls", false);
  LanRoute route{*to, static_cast<uint16_t>(tls ? 443 : 80)};
  if (!config.lan.emplace(host.name, route).second) return bad("twice");
  policy::RuleSpec rule{.host = host.name,
                        .ports = {route.port},
                        .methods = each.value("methods", std::vector<std::string>{}),
                        .paths = each.value("paths", std::vector<std::string>{}),
                        .inspect = tls};
  rules.push_back(std::move(rule));
  return {};
}

// May throw json's own exceptions on a wrong type; parse_config turns them into a Result.
Result<> fill_secrets(Config& config, const json& top) {
  std::vector<Secret> secrets;
  for (const auto& each : top.value("secrets", json::array())) secrets.push_back(TRY(parse_secret(each)));
  std::vector<policy::HostPattern> models;
  for (const auto& each : top.value("models", std::vector<std::string>{}))
    models.push_back(TRY(policy::HostPattern::compile(each)));
  config.secrets.compile(std::move(secrets), std::move(models));
  return {};
}

Result<> fill(Config& config, const json& top) {
  auto endpoint = [](const std::string& text) -> Result<Endpoint> {
    auto parsed = policy::parse_endpoint(text);
    if (!parsed) return fail(Code::invalid, "\"" + text + "\" is not ip:port");
    return *parsed;
  };
  json listen = top.value("listen", json::array());
  if (listen.is_string()) listen = json::array({listen});
  for (const auto& each : listen) config.listen.push_back(TRY(endpoint(each)));
  if (std::string dns = top.value("dns", ""); !dns.empty()) {
    config.dns = TRY(endpoint(dns));
    if (config.dns->port == 0) config.dns->port = 53;
  }
  for (const auto& [name, address] : top.value("names", json::object()).items()) {
    auto parsed = policy::parse_address(address.get<std::string>());
    if (!parsed) return fail(Code::invalid, "names: \"" + name + "\" has no address");
    config.names[TRY(policy::normalise_host(name)).name] = *parsed;
  }
  json egress = top.value("egress", json::object());
  std::vector<policy::RuleSpec> rules;
  for (const auto& each : egress.value("allow", json::array())) rules.push_back(TRY(parse_rule(each)));
  for (const auto& [name, list] : egress.value("hosts", json::object()).items()) {
    auto& to = config.hosts[TRY(policy::normalise_host(name)).name];
    for (const auto& each : list.is_string() ? json::array({list}) : list) to.push_back(TRY(endpoint(each)));
    if (to.empty()) return fail(Code::invalid, "hosts: \"" + name + "\" has no address");
  }
  auto named = rules;  // a route must not join one of these
  for (const auto& each : egress.value("lan", json::array())) {
    std::vector<policy::RuleSpec> with = named;
    TRY(parse_lan(config, each, with));
    rules.push_back(with.back());
  }
  config.rules = TRY(policy::Rules::compile(rules));
  std::string on_secret = egress.value("on_secret", "block");
  if (on_secret == "block" || on_secret.empty()) config.on_secret = OnSecret::block;
  else if (on_secret == "redact") config.on_secret = OnSecret::redact;
  else if (on_secret == "warn") config.on_secret = OnSecret::warn;
  else return fail(Code::invalid, "on_secret is not block, redact or warn");
  if (std::string parent = egress.value("parent_proxy", ""); !parent.empty()) config.parent = TRY(parse_parent(parent));
  config.resolver = egress.value("resolver", "");
  if (!config.resolver.empty()) TRY(endpoint(config.resolver));
  config.roots = top.value("ca_bundle", "");
  json extra = egress.value("extra_ca", json(""));
  for (const auto& pem : extra.is_array() ? extra : json::array({extra})) config.roots += "\n" + pem.get<std::string>();
  TRY(fill_secrets(config, top));
  for (const auto& each : top.value("ssh", json::array())) config.ssh.push_back(TRY(parse_ssh(each)));
  for (const auto& each : top.value("relay", std::vector<std::string>{})) {
    config.relay_all |= each == "*";
    config.relay.push_back(TRY(policy::HostPattern::compile(each)));
  }
  for (const auto& each : top.value("host_networks", std::vector<std::string>{})) {
    auto prefix = policy::parse_prefix(each);
    if (!prefix) return fail(Code::invalid, "host_networks: \"" + each + "\" is not a network");
    config.host_networks.push_back(*prefix);
  }
  config.unrecorded = top.value("unrecorded", "");
  config.ssh_agent = top.value("ssh_agent", false);
  config.idle_ms = egress.value("idle_seconds", int64_t{3600}) * 1000;
  if (config.idle_ms <= 0) return fail(Code::invalid, "idle_seconds is not positive");
  return {};
}

}  // namespace

Result<std::shared_ptr<Config>> parse_config(const json& top) {
  auto config = std::make_shared<Config>();
  if (!top.is_object()) return fail(Code::invalid, "the configuration is not a JSON object");
  try {
    TRY(fill(*config, top));
  } catch (const json::exception& e) {
    // Its text can quote what it read, but never a string's content.
    return fail(Code::invalid, std::string("the configuration has a wrong type: ") + e.what());
  }
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

ssl_ctx_st* Config::upstream_tls() const {
  if (!upstream_tls_) upstream_tls_ = make_upstream_context(roots);
  return upstream_tls_;
}

Result<std::string> base64_decode(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return fail(Code::invalid, "not base64");
  std::string out(text.size() / 4 * 3, 0);
  int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                          reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (n < 0) return fail(Code::invalid, "not base64");
  out.resize(static_cast<size_t>(n) - (text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0));
  return out;
}

std::string base64_encode(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, 0);
  out.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                                 reinterpret_cast<const unsigned char*>(bytes.data()),
                                                 static_cast<int>(bytes.size()))));
  return out;
}

}  // namespace bottle::guard
