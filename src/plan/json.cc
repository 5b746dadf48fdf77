#include "plan/plan.h"

namespace bottle::plan {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr const char* kKinds[] = {"literal", "env", "file", "cmd", "prompt"};

json write(const Source& source) { return {{"kind", kKinds[static_cast<int>(source.kind)]}, {"text", source.text}}; }

Source read_source(const json& from) {
  Source source;
  std::string kind = from.at("kind");
  int at = 0;
  while (at < 5 && kind != kKinds[at]) ++at;
  if (at == 5) throw json::other_error::create(501, "unknown source " + kind, nullptr);
  source.kind = static_cast<Source::Kind>(at);
  source.text = from.at("text");
  return source;
}

json write(const manifest::Egress& egress) {
  json allow = json::array(), lan = json::array();
  for (const auto& rule : egress.allow)
    allow.push_back({{"host", rule.host},
                     {"ports", rule.ports},
                     {"methods", rule.methods},
                     {"paths", rule.paths},
                     {"inspect", rule.inspect}});
  for (const auto& route : egress.lan)
    lan.push_back({{"name", route.name},
                   {"to", route.to},
                   {"methods", route.methods},
                   {"paths", route.paths},
                   {"tls", route.tls}});
  return {{"allow", allow},
          {"lan", lan},
          {"on_secret", egress.on_secret},
          {"hosts", egress.hosts},
          {"parent_proxy", egress.parent_proxy},
          {"extra_ca", egress.extra_ca},
          {"resolver", egress.resolver}};
}

manifest::Egress read_egress(const json& from) {
  manifest::Egress egress;
  for (const auto& rule : from.at("allow")) {
    manifest::AllowRule& to = egress.allow.emplace_back();
    rule.at("host").get_to(to.host);
    rule.at("ports").get_to(to.ports);
    rule.at("methods").get_to(to.methods);
    rule.at("paths").get_to(to.paths);
    rule.at("inspect").get_to(to.inspect);
  }
  for (const auto& route : from.at("lan")) {
    manifest::LanRoute& to = egress.lan.emplace_back();
    route.at("name").get_to(to.name);
    route.at("to").get_to(to.to);
    route.at("methods").get_to(to.methods);
    route.at("paths").get_to(to.paths);
    route.at("tls").get_to(to.tls);
  }
  from.at("on_secret").get_to(egress.on_secret);
  from.at("hosts").get_to(egress.hosts);
  from.at("parent_proxy").get_to(egress.parent_proxy);
  from.at("extra_ca").get_to(egress.extra_ca);
  from.at("resolver").get_to(egress.resolver);
  return egress;
}

Plan read_plan(const json& from) {
  Plan plan;
  from.at("session").get_to(plan.session);
  from.at("agent").get_to(plan.agent);
  from.at("bottle").get_to(plan.bottle);
  from.at("provider").get_to(plan.provider);
  const json& image = from.at("image");
  image.at("reference").get_to(plan.image.reference);
  image.at("recipe").get_to(plan.image.recipe);
  image.at("dockerfile").get_to(plan.image.dockerfile);
  image.at("provider").get_to(plan.image.provider);
  image.at("packages").get_to(plan.image.packages);
  from.at("runtime").get_to(plan.runtime);
  const json& resources = from.at("resources");
  resources.at("memory").get_to(plan.resources.memory);
  resources.at("cpus").get_to(plan.resources.cpus);
  resources.at("pids").get_to(plan.resources.pids);
  const json& workspace = from.at("workspace");
  auto mode = manifest::workspace_mode(workspace.at("mode"));
  if (!mode) throw json::other_error::create(501, mode.error().what, nullptr);
  plan.workspace_mode = *mode;
  workspace.at("path").get_to(plan.workspace);
  workspace.at("inside").get_to(plan.workdir);
  workspace.at("repository").get_to(plan.repository);
  from.at("user").at("uid").get_to(plan.uid);
  from.at("user").at("gid").get_to(plan.gid);
  for (const auto& var : from.at("env")) {
    EnvVar& to = plan.env.emplace_back();
    var.at("name").get_to(to.name);
    to.source = read_source(var.at("source"));
  }
  for (const auto& secret : from.at("secrets")) {
    Secret& to = plan.secrets.emplace_back();
    secret.at("name").get_to(to.name);
    to.source = read_source(secret.at("source"));
    secret.at("hosts").get_to(to.hosts);
    secret.at("header").get_to(to.header);
    secret.at("placeholder").get_to(to.placeholder);
    secret.at("env").get_to(to.env);
    secret.at("optional").get_to(to.optional);
    secret.at("in").get_to(to.in);
  }
  plan.egress = read_egress(from.at("egress"));
  for (const auto& host : from.at("ssh")) {
    manifest::SshHost& to = plan.ssh.emplace_back();
    host.at("host").get_to(to.host);
    host.at("hostname").get_to(to.hostname);
    host.at("user").get_to(to.user);
    host.at("port").get_to(to.port);
    host.at("identity_file").get_to(to.identity_file);
    host.at("host_key").get_to(to.known_host_key);
  }
  from.at("skills").get_to(plan.skills);
  from.at("system_prompt").get_to(plan.system_prompt);
  from.at("prompt").get_to(plan.prompt);
  from.at("command").get_to(plan.command);
  from.at("headless").get_to(plan.headless);
  from.at("record").get_to(plan.record);
  from.at("warnings").get_to(plan.warnings);
  return plan;
}

}  // namespace

json to_json(const Plan& plan) {
  json env = json::array(), secrets = json::array(), ssh = json::array();
  for (const auto& var : plan.env) env.push_back({{"name", var.name}, {"source", write(var.source)}});
  for (const auto& secret : plan.secrets)
    secrets.push_back({{"name", secret.name},
                       {"source", write(secret.source)},
                       {"hosts", secret.hosts},
                       {"header", secret.header},
                       {"placeholder", secret.placeholder},
                       {"env", secret.env},
                       {"optional", secret.optional},
                       {"in", secret.in}});
  for (const auto& host : plan.ssh)
    ssh.push_back({{"host", host.host},
                   {"hostname", host.hostname},
                   {"user", host.user},
                   {"port", host.port},
                   {"identity_file", host.identity_file},
                   {"host_key", host.known_host_key}});
  return {
      {"version", kVersion},
      {"session", plan.session},
      {"agent", plan.agent},
      {"bottle", plan.bottle},
      {"provider", plan.provider},
      {"image",
       {{"reference", plan.image.reference},
        {"recipe", plan.image.recipe},
        {"dockerfile", plan.image.dockerfile},
        {"provider", plan.image.provider},
        {"packages", plan.image.packages}}},
      {"runtime", plan.runtime},
      {"resources", {{"memory", plan.resources.memory}, {"cpus", plan.resources.cpus}, {"pids", plan.resources.pids}}},
      {"workspace",
       {{"mode", manifest::to_string(plan.workspace_mode)},
        {"path", plan.workspace},
        {"inside", plan.workdir},
        {"repository", plan.repository}}},
      {"user", {{"uid", plan.uid}, {"gid", plan.gid}}},
      {"env", env},
      {"secrets", secrets},
      {"egress", write(plan.egress)},
      {"ssh", ssh},
      {"skills", plan.skills},
      {"system_prompt", plan.system_prompt},
      {"prompt", plan.prompt},
      {"command", plan.command},
      {"headless", plan.headless},
      {"record", plan.record},
      {"warnings", plan.warnings}};
}

Result<Plan> from_json(const json& from) {
  try {
    if (from.at("version") != kVersion)
      return fail(Code::protocol, "the plan has another version",
                  "the session was started by another version of bottle");
    return read_plan(from);
  } catch (const json::exception& e) {
    return fail(Code::protocol, std::string("this is not a plan: ") + e.what());
  }
}

}  // namespace bottle::plan
