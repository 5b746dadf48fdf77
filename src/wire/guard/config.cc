// Names the fields of a guard's configuration. Operators also write such files by hand (`bottle guard run`), so
// missing keys have defaults. A misspelled key is refused like any unknown key, because it may have been the rule
// that forbids something. guard/core/config.cc checks the meaning of the values.
#include "wire/guard/config.h"

namespace bottle::wire {
namespace {

constexpr size_t kPem = kLongText;

// Reads or writes a field that a configuration may lack.
void texts(Object& o, const char* key, std::vector<std::string>& values) {
  if (o.optional(key, !values.empty())) o.texts(key, values, kMany, kPath);
}
void text(Object& o, const char* key, std::string& value, size_t most = kPath) {
  if (o.optional(key, true)) o.text(key, value, most);
}
void flag(Object& o, const char* key, bool& value) {
  if (o.optional(key, true)) o.flag(key, value);
}

}  // namespace

static void fields(Object& o, GuardRule& rule) {
  o.text("host", rule.host, kPath);
  if (o.optional("ports", !rule.ports.empty())) o.numbers("ports", rule.ports, kFew);
  if (o.optional("methods", !rule.methods.empty())) o.texts("methods", rule.methods, kFew, kName);
  if (o.optional("paths", !rule.paths.empty())) o.texts("paths", rule.paths, kMany, kPath);
  if (o.optional("inspect", rule.inspect)) o.flag("inspect", rule.inspect);
  if (o.optional("deny", rule.deny)) o.flag("deny", rule.deny);
  o.choice("on_secret", rule.on_secret, policy::kOnSecret);
  o.choice("on_injection", rule.on_injection, policy::kOnInjection);
  if (o.optional("limit", rule.limit.any())) o.object("limit", rule.limit);
  if (o.optional("reads_usage", rule.reads_usage)) o.flag("reads_usage", rule.reads_usage);
}

static void fields(Object& o, GuardLanRoute& route) {
  o.text("name", route.name, kPath);
  o.text("to", route.to, kName);
  if (o.optional("methods", !route.methods.empty())) o.texts("methods", route.methods, kFew, kName);
  if (o.optional("paths", !route.paths.empty())) o.texts("paths", route.paths, kMany, kPath);
  flag(o, "tls", route.tls);
}

// If `in` is missing, the secret goes into headers only.
static void fields(Object& o, GuardSecret& secret) {
  o.text("name", secret.name, kName);
  // Most relayed secrets have no value in this guard.
  if (o.optional("value", !secret.value.empty())) o.text("value", secret.value, kValue);
  if (o.optional("relayed", secret.relayed)) o.flag("relayed", secret.relayed);
  if (o.optional("exposed", secret.exposed)) o.flag("exposed", secret.exposed);
  text(o, "placeholder", secret.placeholder, kValue);
  texts(o, "hosts", secret.hosts);
  text(o, "header", secret.header);
  texts(o, "in", secret.in);
  texts(o, "beside", secret.beside);
}

static void fields(Object& o, GuardKnownSecret& known) {
  o.text("name", known.name, kName);
  o.text("value", known.value, kValue);
}

void fields(Object& o, GuardOwnRules& rules) {
  o.text("text", rules.text, kLongText);
  o.text("database", rules.database, kLongText);
}

static void fields(Object& o, GuardSshHost& ssh) {
  o.text("host", ssh.host, kPath);
  if (o.optional("port", true)) o.number("port", ssh.port);
  o.text("key", ssh.key, 64 << 10);
}

static void fields(Object& o, GuardEgress& egress) {
  if (o.optional("allow", true)) o.objects("allow", egress.allow, kMany);
  if (o.optional("lan", true)) o.objects("lan", egress.lan, kMany);
  if (o.optional("on_secret", true)) o.choice("on_secret", egress.on_secret, policy::kOnSecret);
  if (o.optional("on_secret_for", !egress.on_secret_for.empty()))
    o.choices("on_secret_for", egress.on_secret_for, kMany, policy::kOnSecret);
  texts(o, "allowed_secrets", egress.allowed_secrets);
  if (o.optional("on_injection", egress.on_injection != policy::OnInjection::warn))
    o.choice("on_injection", egress.on_injection, policy::kOnInjection);
  if (o.optional("limit", egress.limit.any())) o.object("limit", egress.limit);
  if (o.optional("prices", !egress.prices.empty())) o.objects("prices", egress.prices, kFew);
  if (o.optional("hosts", true)) o.tables("hosts", egress.hosts, kMany, kName);
  text(o, "parent_proxy", egress.parent_proxy);
  text(o, "parent_login", egress.parent_login, 16 << 10);
  text(o, "extra_ca", egress.extra_ca, kPem);
  text(o, "resolver", egress.resolver, kName);
  if (o.optional("http2", !egress.http2)) o.flag("http2", egress.http2);
  // 0 would close every connection immediately.
  if (o.optional("idle_seconds", true)) o.number("idle_seconds", egress.idle_seconds, 1u);
}

void fields(Object& o, GuardConfig& config) {
  texts(o, "listen", config.listen);
  text(o, "dns", config.dns, kName);
  if (o.optional("names", true)) o.table("names", config.names, kMany, kName);
  if (o.optional("egress", true)) o.object("egress", config.egress);
  text(o, "ca_bundle", config.ca_bundle, kPem);
  if (o.optional("secrets", true)) o.objects("secrets", config.secrets, kMany);
  if (o.optional("known", !config.known.empty())) o.objects("known", config.known, kMany);
  if (o.optional("own_rules", !config.own_rules.text.empty())) o.object("own_rules", config.own_rules);
  texts(o, "models", config.models);
  if (o.optional("ssh", true)) o.objects("ssh", config.ssh, kMany);
  texts(o, "relay", config.relay);
  texts(o, "host_networks", config.host_networks);
  text(o, "unrecorded", config.unrecorded, 64 << 10);
  if (o.optional("used", !config.used.empty())) o.objects("used", config.used, kMany);
  flag(o, "ssh_agent", config.ssh_agent);
}

}  // namespace bottle::wire
