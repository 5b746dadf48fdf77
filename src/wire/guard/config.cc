// Names the fields of a guard's configuration. Operators also write such files by hand (`bottle guard run`), so
// missing keys have defaults. A misspelled key is refused like any unknown key, because it may have been the rule
// that forbids something. guard/core/config.cc checks the meaning of the values.
#include "wire/guard/config.h"

namespace bottle::wire {
namespace {

constexpr size_t kAuthorities = kLongText;

// Reads or writes a field that is always written, and that an operator's file may lack.
void text(Object& o, const char* key, std::string& value, size_t most = kPath) {
  if (o.may_lack(key)) o.text(key, value, most);
}
void flag(Object& o, const char* key, bool& value) {
  if (o.may_lack(key)) o.flag(key, value);
}

}  // namespace

static void fields(Object& o, GuardRule& rule) {
  o.text("host", rule.host, kPath);
  o.numbers_if_any("ports", rule.ports, kFew);
  o.texts_if_any("methods", rule.methods, kFew, kName);
  o.texts_if_any("paths", rule.paths, kMany, kPath);
  o.flag_if_set("inspect", rule.inspect);
  o.flag_if_set("deny", rule.deny);
  o.choice("on_secret", rule.on_secret, policy::kOnSecret);
  o.choice("on_injection", rule.on_injection, policy::kOnInjection);
  if (o.optional("limit", rule.limit.any())) o.object("limit", rule.limit);
  o.flag_if_set("reads_usage", rule.reads_usage);
}

static void fields(Object& o, GuardLanRoute& route) {
  o.text("name", route.name, kPath);
  o.text("to", route.to, kName);
  o.texts_if_any("methods", route.methods, kFew, kName);
  o.texts_if_any("paths", route.paths, kMany, kPath);
  flag(o, "tls", route.tls);
}

// If `in` is missing, the secret goes into headers only.
static void fields(Object& o, GuardSecret& secret) {
  o.text("name", secret.name, kName);
  // Most relayed secrets have no value in this guard.
  o.text_if_any("value", secret.value, kValue);
  o.flag_if_set("relayed", secret.relayed);
  o.flag_if_set("exposed", secret.exposed);
  text(o, "placeholder", secret.placeholder, kValue);
  o.texts_if_any("hosts", secret.hosts, kMany, kPath);
  text(o, "header", secret.header);
  o.texts_if_any("in", secret.in, kMany, kPath);
  o.texts_if_any("beside", secret.beside, kMany, kPath);
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
  if (o.may_lack("port")) o.number("port", ssh.port);
  o.text("key", ssh.key, 64 << 10);
}

static void fields(Object& o, GuardEgress& egress) {
  if (o.may_lack("allow")) o.objects("allow", egress.allow, kMany);
  if (o.may_lack("lan")) o.objects("lan", egress.lan, kMany);
  if (o.may_lack("on_secret")) o.choice("on_secret", egress.on_secret, policy::kOnSecret);
  o.choices_if_any("on_secret_for", egress.on_secret_for, kMany, policy::kOnSecret);
  o.texts_if_any("allowed_secrets", egress.allowed_secrets, kMany, kPath);
  if (o.optional("on_injection", egress.on_injection != policy::OnInjection::warn))
    o.choice("on_injection", egress.on_injection, policy::kOnInjection);
  if (o.optional("limit", egress.limit.any())) o.object("limit", egress.limit);
  o.objects_if_any("prices", egress.prices, kFew);
  if (o.may_lack("hosts")) o.tables("hosts", egress.hosts, kMany, kName);
  text(o, "parent_proxy", egress.parent_proxy);
  text(o, "parent_login", egress.parent_login, 16 << 10);
  text(o, "extra_ca", egress.extra_ca, kAuthorities);
  text(o, "resolver", egress.resolver, kName);
  if (o.optional("http2", !egress.http2)) o.flag("http2", egress.http2);
  // 0 would close every connection immediately.
  if (o.may_lack("idle_seconds")) o.number("idle_seconds", egress.idle_seconds, 1u);
}

void fields(Object& o, GuardConfig& config) {
  o.texts_if_any("listen", config.listen, kMany, kPath);
  text(o, "dns", config.dns, kName);
  if (o.may_lack("names")) o.table("names", config.names, kMany, kName);
  if (o.may_lack("egress")) o.object("egress", config.egress);
  text(o, "ca_bundle", config.ca_bundle, kAuthorities);
  if (o.may_lack("secrets")) o.objects("secrets", config.secrets, kMany);
  o.objects_if_any("known", config.known, kMany);
  if (o.optional("own_rules", !config.own_rules.text.empty())) o.object("own_rules", config.own_rules);
  o.texts_if_any("models", config.models, kMany, kPath);
  if (o.may_lack("ssh")) o.objects("ssh", config.ssh, kMany);
  o.texts_if_any("relay", config.relay, kMany, kPath);
  o.texts_if_any("host_networks", config.host_networks, kMany, kPath);
  text(o, "unrecorded", config.unrecorded, 64 << 10);
  o.objects_if_any("used", config.used, kMany);
  flag(o, "ssh_agent", config.ssh_agent);
}

}  // namespace bottle::wire
