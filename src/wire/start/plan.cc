// Names the fields of a plan in the form that docs/plan.md promises: within one version, keys are only added. A key
// that was added later is written only if it differs from the default, so that a plan without it stays the same text.
//
// Some objects of that form, such as "workspace", are not structs of the plan. A view with a reference to the plan
// stands in for each of them.
#include "wire/start/plan.h"

#include <array>

namespace bottle::wire {
namespace {

constexpr unsigned kPlanVersion = 1;  // docs/plan.md
constexpr std::array kSources = {"literal", "env", "file", "cmd", "prompt", "locale"};
constexpr std::array kModes = {"none", "copy", "clone", "bind"};

// These members of a plan are separate objects in JSON.
struct Workspace {
  plan::Plan& plan;
};
void fields(Object& o, Workspace& workspace) {
  o.choice("mode", workspace.plan.workspace_mode, kModes);
  o.text("path", workspace.plan.workspace, kPath);
  o.text("inside", workspace.plan.workdir, kPath);
  o.text("repository", workspace.plan.repository, kPath);
  o.text_if_any("start", workspace.plan.start, kPath);
  o.texts_if_any("include", workspace.plan.include, kFew, kPath);
  o.texts_if_any("keep", workspace.plan.keep, kFew, kPath);
  o.flag_if_set("keep_ignored", workspace.plan.keep_ignored);
}

struct User {
  plan::Plan& plan;
};
void fields(Object& o, User& user) {
  o.number("uid", user.plan.uid);
  o.number("gid", user.plan.gid);
}

}  // namespace

static void fields(Object& o, plan::Source& source) {
  o.choice("kind", source.kind, kSources);
  o.text("text", source.text, kValue);
}

static void fields(Object& o, plan::EnvVar& variable) {
  o.text("name", variable.name, kName);
  o.object("source", variable.source);
  o.flag_if_set("secret", variable.secret);
}

// A plan says only where the value comes from. It never contains the value.
static void fields(Object& o, plan::Secret& secret) {
  o.text("name", secret.name, kName);
  o.object("source", secret.source);
  o.texts("hosts", secret.hosts, kFew, kName);
  o.text("header", secret.header, kPath);
  o.text("placeholder", secret.placeholder, kPath);
  o.text("env", secret.env, kName);
  o.flag("optional", secret.optional);
  o.texts("in", secret.in, 3, kName);
  // The plan in an older ledger does not have this key.
  if (o.may_lack("beside")) o.texts("beside", secret.beside, kFew, kName);
  o.flag_if_set("exposed", secret.exposed);
}

static void fields(Object& o, plan::Image& image) {
  o.text("reference", image.reference, kPath);
  static constexpr std::array kRecipes = {"", "bootstrap", "dockerfile"};
  o.choice("recipe", image.recipe, kRecipes);
  o.text("dockerfile", image.dockerfile, kPath);
  o.text("provider", image.provider, kName);
  o.texts("packages", image.packages, kFew, kName);
  o.text_if_any("version", image.pin.version, kName);
  o.text_if_any("integrity", image.pin.integrity, kPath);
}

static void fields(Object& o, manifest::Resources& resources) {
  o.number("memory", resources.memory);
  o.number("cpus", resources.cpus);
  o.number("pids", resources.pids);
  // The plan in an older ledger does not have these keys.
  if (o.may_lack("disk")) o.number("disk", resources.disk);
  if (o.may_lack("shm")) o.number("shm", resources.shm);
}

static void fields(Object& o, manifest::Limit& limit) {
  o.number_if_set("requests", limit.requests);
  o.number_if_set("bytes_up", limit.bytes_up);
  o.number_if_set("names", limit.names);
  o.number_if_set("tokens", limit.tokens);
  o.number_if_set("cost", limit.cost);
}

namespace {

// The prices of a plan are a list in JSON.
struct NamedPrice {
  std::string model;
  manifest::Price price;
};
void fields(Object& o, NamedPrice& named) {
  o.text("model", named.model, kName);
  o.number("input", named.price.input);
  o.number("output", named.price.output);
  o.number("cache_read", named.price.cache_read);
  o.number("cache_write", named.price.cache_write);
}

void prices(Object& o, std::map<std::string, manifest::Price>& prices) {
  std::vector<NamedPrice> list;
  for (const auto& [model, price] : prices) list.push_back({model, price});
  if (!o.optional("prices", !list.empty())) return;
  o.objects("prices", list, kFew);
  for (const auto& each : list) prices[each.model] = each.price;
}

}  // namespace

static void fields(Object& o, manifest::AllowRule& rule) {
  o.text("host", rule.host, kName);
  o.numbers("ports", rule.ports, kFew);
  o.texts("methods", rule.methods, kFew, kName);
  o.texts("paths", rule.paths, kFew, kPath);
  o.flag("inspect", rule.inspect);
  o.choice("on_secret", rule.on_secret, policy::kOnSecret);
  o.text_if_any("preset", rule.preset, kPath);
  o.choice("on_injection", rule.on_injection, policy::kOnInjection);
  if (o.optional("limit", rule.limit != manifest::Limit())) o.object("limit", rule.limit);
}

static void fields(Object& o, manifest::LanRoute& route) {
  o.text("name", route.name, kName);
  o.text("to", route.to, kName);
  o.texts("methods", route.methods, kFew, kName);
  o.texts("paths", route.paths, kFew, kPath);
  o.flag("tls", route.tls);
}

// The login at the parent proxy is left out, because the plan has made it one of the secrets.
static void fields(Object& o, manifest::Egress& egress) {
  o.objects("allow", egress.allow, kMany);
  o.objects("lan", egress.lan, kFew);
  o.choice("on_secret", egress.on_secret, policy::kOnSecret);
  o.choices_if_any("on_secret_for", egress.on_secret_for, kFew, policy::kOnSecret);
  o.texts_if_any("allowed_secrets", egress.allowed_secrets, kMany, kName);
  if (o.optional("on_injection", egress.on_injection != policy::OnInjection::warn))
    o.choice("on_injection", egress.on_injection, policy::kOnInjection);
  if (o.optional("limit", egress.limit != manifest::Limit())) o.object("limit", egress.limit);
  prices(o, egress.prices);
  o.tables("hosts", egress.hosts, kMany, kName);
  o.text("parent_proxy", egress.parent_proxy, kPath);
  o.texts("extra_ca", egress.extra_ca, kFew, kPath);
  o.text("resolver", egress.resolver, kName);
  if (o.optional("http2", !egress.http2)) o.flag("http2", egress.http2);
}

static void fields(Object& o, manifest::Scan& scan) {
  o.texts("secrets", scan.secrets, kFew, kPath);
  o.texts("rules", scan.rules, kFew, kPath);
}

static void fields(Object& o, manifest::SshHost& host) {
  o.text("host", host.host, kName);
  o.text("hostname", host.hostname, kName);
  o.text("user", host.user, kName);
  o.number("port", host.port);
  o.text("identity_file", host.identity_file, kPath);
  o.text("host_key", host.known_host_key, 64 << 10);
}

void fields(Object& o, plan::Plan& plan) {
  Workspace workspace{plan};
  User user{plan};
  o.version("version", kPlanVersion);
  o.text("session", plan.session, kName);
  o.text("agent", plan.agent, kName);
  o.text("bottle", plan.bottle, kName);
  o.text("provider", plan.provider, kName);
  o.object("image", plan.image);
  o.text("runtime", plan.runtime, kName);
  o.object("resources", plan.resources);
  o.object("workspace", workspace);
  o.object("user", user);
  o.objects("env", plan.env, kFew);
  o.objects("secrets", plan.secrets, kFew);
  if (o.optional("scan", !plan.scan.secrets.empty() || !plan.scan.rules.empty())) o.object("scan", plan.scan);
  o.object("egress", plan.egress);
  o.objects("ssh", plan.ssh, kFew);
  o.texts("skills", plan.skills, kFew, kPath);
  o.text("system_prompt", plan.system_prompt, kLongText);
  o.text("prompt", plan.prompt, kLongText);
  o.texts("command", plan.command, kMany, kValue);
  o.flag("headless", plan.headless);
  o.flag("record", plan.record);
  o.words("warnings", plan.warnings, kFew);
}

}  // namespace bottle::wire
