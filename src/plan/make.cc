// Makes a plan from a manifest, the options and the facts. Each set_… function decides one part of the plan, and each
// check_… function refuses a combination that the manifest's parser cannot judge. All of that happens before anything
// is created. The order in make() matters where a part depends on an earlier one, as the agent's command depends on
// the prompt.
#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <set>

#include "base/ids.h"
#include "base/text/shell_word.h"
#include "plan/image_names.h"
#include "plan/plan.h"
#include "plan/provider.h"
#include "plan/text.h"

namespace bottle::plan {
namespace {

using manifest::AllowRule;
using manifest::WorkspaceMode;

template <typename Map>
std::vector<std::string> names(const Map& map) {
  std::vector<std::string> all;
  for (const auto& [name, unused] : map) all.push_back(name);
  return all;
}

// Returns "path:line:column: " for a key, or an empty string if its position is unknown.
std::string at(const manifest::Positions& positions, const std::string& key) {
  auto it = positions.find(key);
  return it == positions.end() ? "" : it->second + ": ";
}

std::string expand(const std::string& path, const Facts& facts) {
  auto home = facts.environment.find("HOME");
  return path.starts_with("~/") && home != facts.environment.end() ? home->second + path.substr(1) : path;
}

bool set(const Facts& facts, const std::string& variable) {
  auto it = facts.environment.find(variable);
  return it != facts.environment.end() && !it->second.empty();
}

Source source_of_env(const std::string& name, const std::string& value) {
  // Only `${NAME}` as the whole value is a reference. set_env() warns about one within a text.
  if (value.starts_with("${") && value.ends_with("}")) return {Source::Kind::env, value.substr(2, value.size() - 3)};
  if (value.starts_with("?")) return {Source::Kind::prompt, value.size() > 1 ? value.substr(1) : name};
  return {Source::Kind::literal, value};
}

Source source_of_secret(const std::string& name, const std::string& from, const Facts& facts) {
  if (from.starts_with("env:")) return {Source::Kind::env, from.substr(4)};
  if (from.starts_with("file:")) return {Source::Kind::file, expand(from.substr(5), facts)};
  if (from.starts_with("cmd:")) return {Source::Kind::cmd, from.substr(4)};
  return {Source::Kind::prompt, from.size() > 1 ? from.substr(1) : name};
}

std::string variable_of(const manifest::Secret& secret) {
  if (!secret.env.empty()) return secret.env;
  if (secret.name == "claude-oauth") return "CLAUDE_CODE_OAUTH_TOKEN";
  if (secret.name == "anthropic-key") return "ANTHROPIC_API_KEY";
  if (secret.name == "openai-key") return "OPENAI_API_KEY";
  return secret.from.starts_with("env:") ? secret.from.substr(4) : "";
}

// Reports a missing variable: as an error at a start, and as a warning in a dry run.
Result<> missing(Plan& plan, const manifest::Bottle& bottle, const std::string& key, const std::string& variable,
                 const Facts& facts, const Options& options) {
  std::string what = at(bottle.positions, key) + key + ": the variable " + variable +
                     (facts.environment.contains(variable) ? " is empty" : " is not set");
  if (options.if_unset == Options::IfUnset::fail)
    return fail(Code::not_found, what, "export " + variable + ", then start again");
  plan.warnings.push_back(what + "; a start needs it");
  return {};
}

Result<> set_env(Plan& plan, const manifest::Bottle& bottle, const Facts& facts, const Options& options) {
  for (const auto& [name, value] : bottle.env) {
    EnvVar var{name, source_of_env(name, value), bottle.secret_env.contains(name)};
    if (var.source.kind == Source::Kind::env && !set(facts, var.source.text))
      TRY(missing(plan, bottle, "env." + name, var.source.text, facts, options));
    // A plan is printed, and kept in the ledger.
    if (var.secret && var.source.kind == Source::Kind::literal)
      return fail(Code::invalid,
                  at(bottle.positions, "env." + name) + "env." + name +
                      " is marked as secret, but its value is written in the manifest",
                  "write value: ${HOST_VAR} and export that variable, or value: ?question");
    if (var.source.kind == Source::Kind::literal && value.find("${") != std::string::npos)
      plan.warnings.push_back("env." + name + " is used literally, because ${…} works only as the whole value");
    if (signs_in(name))
      plan.warnings.push_back("env." + name +
                              ": the agent sees this credential; use `secrets` to keep it outside the bottle");
    plan.env.push_back(std::move(var));
  }
  return {};
}

// Passes on the operator's time zone, locale and terminal colors, unless the bottle sets these variables.
void set_surroundings(Plan& plan, const Facts& facts) {
  auto pass = [&](const std::string& name, const std::string& value, Source::Kind kind) {
    bool plain = !value.empty() && value.size() <= 64 && std::ranges::all_of(value, [](unsigned char c) {
      return std::isalnum(c) || std::string_view("_+-/:,.<>@").contains(static_cast<char>(c));
    });
    bool given = std::ranges::any_of(plan.env, [&](const EnvVar& var) { return var.name == name; });
    if (plain && !given) plan.env.push_back({name, {kind, value}});
  };
  auto own = [&](const std::string& name) {
    auto found = facts.environment.find(name);
    return found == facts.environment.end() ? std::string() : found->second;
  };
  pass("TZ", facts.time_zone, Source::Kind::literal);
  if (!plan.headless) pass("COLORTERM", own("COLORTERM"), Source::Kind::literal);
  // C and POSIX have no letters beyond ASCII, so the agent keeps C.UTF-8 instead. LC_ALL overrides the others.
  auto pass_locale = [&](const std::string& name) {
    std::string value = own(name);
    if (value != "C" && value != "POSIX" && value != "C.UTF-8") pass(name, value, Source::Kind::locale);
  };
  if (!own("LC_ALL").empty()) return pass_locale("LC_ALL");
  for (const char* name :
       {"LANG", "LC_ADDRESS", "LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES",
        "LC_MONETARY", "LC_NAME", "LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME"})
    pass_locale(name);
}

// `options` is as in set_secrets().
Result<> set_parent_login(Plan& plan, const manifest::Bottle& bottle, const Facts& facts, const Options* options) {
  // A plan is printed, and kept in the ledger.
  if (options && bottle.egress.parent_proxy.find('@') != std::string::npos)
    return fail(Code::invalid, "egress.parent_proxy contains a password",
                "set parent_proxy: http://host:port, and parent_proxy_login: env:NAME with user:password in $NAME");
  const std::string& from = bottle.egress.parent_proxy_login;
  plan.egress.parent_proxy_login.clear();
  if (from.empty()) return {};
  if (bottle.egress.parent_proxy.empty())
    return fail(Code::invalid, "egress.parent_proxy_login needs egress.parent_proxy", "add parent_proxy");
  Secret login{.name = std::string(kParentLogin), .source = source_of_secret("login at the parent proxy", from, facts)};
  if (options && login.source.kind == Source::Kind::env && !set(facts, login.source.text))
    TRY(missing(plan, bottle, login.name, login.source.text, facts, *options));
  plan.secrets.push_back(std::move(login));
  return {};
}

// `options` is null if no session starts, so that the operator's environment does not matter.
Result<> set_secrets(Plan& plan, const manifest::Bottle& bottle, const Facts& facts, const Options* options) {
  for (const auto& [name, secret] : bottle.secrets) {
    Secret planned{name,
                   source_of_secret(name, secret.from, facts),
                   secret.hosts,
                   secret.header,
                   secret.placeholder,
                   variable_of(secret),
                   false};
    planned.in = secret.in;
    planned.beside = secret.beside;
    if (planned.header.empty() && std::ranges::find(planned.in, "header") != planned.in.end())
      planned.header = usual_header(planned.env);
    if (planned.placeholder.empty()) planned.placeholder = placeholder(facts.session, name);
    if (options && planned.source.kind == Source::Kind::env && !set(facts, planned.source.text))
      TRY(missing(plan, bottle, "secrets." + name, planned.source.text, facts, *options));
    if (secret.expose) {
      if (planned.env.empty())
        return fail(
            Code::invalid,
            at(bottle.positions, "secrets." + name) + "secrets." + name + ": `expose` needs a variable for the value",
            "add `env: NAME`");
      plan.warnings.push_back("secret " + name + " is EXPOSED: the agent sees its real value in " + planned.env);
      plan.env.push_back({planned.env, planned.source});
      planned.env.clear();  // the guard still looks for the value
    }
    plan.secrets.push_back(std::move(planned));
  }
  return {};
}

void allow_ssh(Plan& plan, const manifest::Bottle& bottle, const Facts& facts) {
  for (manifest::SshHost host : bottle.ssh) {
    if (host.known_host_key.empty()) {
      plan.warnings.push_back("ssh host " + host.host +
                              " stays closed, because the guard cannot recognize the host without its host key");
      continue;
    }
    host.identity_file = expand(host.identity_file, facts);
    plan.egress.allow.push_back({.host = host.hostname.empty() ? host.host : host.hostname, .ports = {host.port}});
    plan.ssh.push_back(std::move(host));
  }
}

void allow_provider(Plan& plan) {
  for (const auto& host : api_hosts(plan.provider)) {
    bool named = false;
    for (auto& rule : plan.egress.allow)
      if (rule.host == host)
        named = rule.inspect = true;  // keep the operator's own rule, which may be narrower, and inspect the host
    if (!named)
      plan.egress.allow.insert(plan.egress.allow.begin(), AllowRule{.host = host, .ports = {443}, .inspect = true});
  }
}

// Returns whether an address must never be a service of the local network: loopback, metadata, multicast and broadcast.
bool never_lan(const std::string& ip) {
  unsigned char b[16];
  if (::inet_pton(AF_INET, ip.c_str(), b) == 1)
    return b[0] == 0 || b[0] == 127 || (b[0] == 169 && b[1] == 254) || b[0] >= 224;
  if (::inet_pton(AF_INET6, ip.c_str(), b) != 1) return true;
  bool v4 = std::all_of(b, b + 10, [](auto byte) { return byte == 0; });  // ::, ::1, and IPv4-compatible addresses
  return v4 || b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
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
        plan.egress.hosts.contains(route.name))
      return fail(Code::conflict, where + " is also a host of egress.allow, egress.hosts, ssh or the agent's provider",
                  "choose another name for the service");
  }
  return {};
}

void warn_of_unreachable(Plan& plan) {
  for (const auto& secret : plan.secrets)
    for (const auto& host : secret.hosts)
      // The rule's pattern may cover the host, or the reverse.
      if (std::ranges::none_of(plan.egress.allow, [&](const AllowRule& rule) {
            return manifest::covers(rule.host, host) || manifest::covers(host, rule.host);
          }))
        plan.warnings.push_back("secret " + secret.name + " is for " + host + ", which egress.allow does not list");
}

Result<> set_image(Plan& plan, const manifest::Agent& agent, const manifest::Bottle& bottle, const Options& options,
                   const Facts& facts) {
  if (!options.image.empty()) {
    plan.image = {options.image, "", "", plan.provider, {}, {}};
  } else if (!bottle.image.empty()) {
    plan.image = {bottle.image, "", "", plan.provider, bottle.packages, {}};
  } else if (!bottle.dockerfile.empty()) {
    auto content = facts.images.dockerfiles.find(bottle.dockerfile);
    if (content == facts.images.dockerfiles.end())
      return fail(Code::not_found, at(bottle.positions, "dockerfile") + "dockerfile: cannot read " + bottle.dockerfile);
    plan.image = {dockerfile_reference(bottle.dockerfile, content->second, facts.images),
                  "dockerfile",
                  expand(bottle.dockerfile, facts),
                  plan.provider,
                  bottle.packages,
                  {}};
  } else {
    plan.image = bootstrap_image(plan.provider, bottle.packages, agent.pin, facts.images);
  }
  if (plan.image.recipe != "bootstrap" && !bottle.packages.empty())
    plan.warnings.push_back("packages are not installed, because the bottle has its own image or dockerfile");
  if (plan.image.recipe != "bootstrap" && !agent.pin.version.empty())
    plan.warnings.push_back("version " + agent.pin.version +
                            " is not installed, because the bottle has its own image or dockerfile");
  if (plan.image.reference.starts_with("-") ||
      std::ranges::any_of(plan.image.reference, [](unsigned char c) { return c <= ' ' || c == 0x7f; }))
    return fail(Code::invalid,
                at(bottle.positions, "image") + "'" + plan.image.reference + "' is not the name of an image");
  return {};
}

Result<> set_runtime(Plan& plan, const manifest::Bottle& bottle, const Options& options, const Facts& facts) {
  plan.runtime = options.runtime.empty() ? bottle.runtime : options.runtime;
  bool listed = std::ranges::find(facts.runtimes, plan.runtime) != facts.runtimes.end();
  // The list is empty if the runtimes are not known yet, as for a VM that does not exist yet.
  if (plan.runtime == "auto" || listed || facts.runtimes.empty()) return {};
  std::string where = options.runtime.empty() ? at(bottle.positions, "runtime") : "--runtime: ";
  return fail(Code::not_found, where + "the engine has no runtime '" + plan.runtime + "'",
              manifest::suggest(plan.runtime, facts.runtimes));
}

bool is_at_or_above(const std::string& above, const std::string& path) {
  return above == "/" || path == above || path.starts_with(above + "/");
}

// Refuses a home directory, because it holds keys, and any directory above bottle's own, because it holds the policy
// and the results.
Result<> refuse_precious(const Plan& plan, const Options& options, const Facts& facts) {
  if (plan.workspace_mode == WorkspaceMode::none || plan.workspace == options.really) return {};
  for (const auto& path : facts.precious)
    if (is_at_or_above(plan.workspace, path))
      return fail(Code::denied,
                  plan.workspace + " cannot be a workspace: " +
                      (plan.workspace == path ? "it holds your own settings and keys" : path + " is in it") +
                      ", which the agent could read",
                  "start in a project's directory; if you mean it, add --yes-really " + shell_word(plan.workspace));
  return {};
}

// Makes the top of the repository the workspace, because the whole repository is sent even if the operator starts in a
// subdirectory.
void go_to_top(Plan& plan, const Facts& facts) {
  bool goes = plan.workspace_mode == WorkspaceMode::clone || plan.workspace_mode == WorkspaceMode::copy;
  if (!goes || facts.top.empty() || facts.top == facts.workspace) return;
  plan.workspace = facts.top;
  plan.start = facts.workspace.substr(facts.top == "/" ? 1 : facts.top.size() + 1);
}

Result<> set_workspace(Plan& plan, const manifest::Bottle& bottle, const Options& options, const Facts& facts) {
  plan.workspace = facts.workspace;
  plan.workspace_mode = bottle.workspace;
  if (!options.workspace_mode.empty()) plan.workspace_mode = TRY(manifest::workspace_mode(options.workspace_mode));
  if (plan.workspace_mode == WorkspaceMode::clone && facts.repository.empty()) {
    plan.workspace_mode = WorkspaceMode::copy;
    plan.warnings.push_back("the workspace is not a git repository, so it is copied instead of cloned");
  }
  if (plan.workspace_mode == WorkspaceMode::clone || plan.workspace_mode == WorkspaceMode::copy)
    plan.repository = facts.repository;
  // The check follows the move to the top, because the agent gets to read the top.
  go_to_top(plan, facts);
  TRY(refuse_precious(plan, options, facts));
  plan.include = bottle.include;
  plan.keep = bottle.keep;
  plan.keep_ignored = options.keep_ignored;
  if (!plan.repository.empty())
    for (const auto& objects : facts.borrows) plan.warnings.push_back("the repository borrows objects from " + objects);
  bool bind = plan.workspace_mode == WorkspaceMode::bind;
  if (bind)
    plan.warnings.push_back("workspace: bind lets the agent write to " + facts.workspace +
                            " itself, including its .git");
  plan.uid = facts.uid;
  plan.gid = facts.gid;
  if (facts.uid == 0 && bind)
    plan.warnings.push_back("workspace: bind as root makes the agent run as uid 0 in its container");
  // The files of a bind belong to root, so only uid 0 could write them. A copy can belong to any user.
  if (facts.uid == 0 && !bind) plan.uid = plan.gid = 1000;
  if (plan.gid == 0 && plan.uid != 0) plan.gid = plan.uid;
  return {};
}

Result<> set_skills(Plan& plan, const manifest::Agent& agent, const Facts& facts) {
  for (const auto& skill : agent.skills) {
    auto found = facts.skills.find(skill);
    if (found == facts.skills.end() && !facts.skills_error.empty())
      return fail(Code::internal, at(agent.positions, "skills") + "agent '" + agent.name +
                                      "': looking for the skill '" + skill + "': " + facts.skills_error);
    if (found == facts.skills.end())
      return fail(Code::not_found,
                  at(agent.positions, "skills") + "agent '" + agent.name + "': there is no skill '" + skill + "'",
                  facts.skills.empty() ? "put it into ~/.config/bottle/skills/" + skill
                                       : manifest::suggest(skill, names(facts.skills)));
    plan.skills.push_back(found->second);
  }
  return {};
}

// Refuses a variable that is set twice. Otherwise a literal could silently replace a placeholder, or the reverse.
Result<> check_variables(const Plan& plan, const manifest::Bottle& bottle) {
  std::map<std::string, std::string> owners;
  for (const auto& secret : plan.secrets) {
    if (secret.env.empty()) continue;
    auto [other, fresh] = owners.emplace(secret.env, secret.name);
    if (!fresh)
      return fail(Code::conflict,
                  at(bottle.positions, "secrets." + secret.name) + "secrets " + other->second + " and " + secret.name +
                      " share the variable " + secret.env,
                  "give one of them another `env:`");
  }
  std::map<std::string, int> seen;
  for (const auto& var : plan.env) {
    if (owners.contains(var.name))
      return fail(Code::conflict,
                  at(bottle.positions, "env." + var.name) + "env." + var.name +
                      " would replace the placeholder of secret " + owners[var.name],
                  "remove it from env; the guard inserts the real value");
    if (seen[var.name]++)
      return fail(Code::conflict,
                  at(bottle.positions, "env." + var.name) + "the variable " + var.name + " is set twice",
                  "remove it from env, or give the secret another `env:`");
  }
  return {};
}

// Copies what the guard needs. Only paths change: they become paths on this host.
void set_policy(Plan& plan, const manifest::Bottle& bottle, const Facts& facts) {
  plan.egress = bottle.egress;
  plan.scan = bottle.scan;
  for (auto* files : {&plan.egress.extra_ca, &plan.scan.secrets, &plan.scan.rules})
    for (auto& file : *files) file = expand(file, facts);
}

Result<> check_limits(const Plan& plan) {
  // Without prices, the estimated cost stays 0 and never reaches the limit.
  bool cost = plan.egress.limit.cost > 0 ||
              std::ranges::any_of(plan.egress.allow, [](const AllowRule& rule) { return rule.limit.cost > 0; });
  if (!cost || !plan.egress.prices.empty()) return {};
  return fail(Code::invalid, "the cost is limited, but nothing says what the models cost",
              "add egress.prices, such as prices: {\"some-model-*\": {input: 3, output: 15}}, per million tokens");
}

}  // namespace

Result<Plan> make(const manifest::Manifest& manifest, const Options& options, const Facts& facts) {
  if (!is_session_name(facts.session))
    return fail(Code::invalid, "'" + facts.session + "' is not a valid name for a session",
                "use up to 40 of a-z, 0-9 and -");
  auto found = manifest.agents.find(options.agent);
  if (found == manifest.agents.end())
    return fail(Code::not_found, "there is no agent '" + options.agent + "'",
                manifest::suggest(options.agent, names(manifest.agents)));
  const manifest::Agent& agent = found->second;
  auto policy = manifest.bottles.find(agent.bottle);
  if (policy == manifest.bottles.end())
    return fail(Code::not_found, at(agent.positions, "bottle") + "there is no bottle '" + agent.bottle + "'",
                manifest::suggest(agent.bottle, names(manifest.bottles)));
  const manifest::Bottle& bottle = policy->second;

  Plan plan;
  plan.session = facts.session;
  plan.agent = agent.name;
  plan.bottle = bottle.name;
  plan.provider = agent.provider;
  plan.resources = bottle.resources;
  plan.headless = options.headless;
  plan.system_prompt = agent.prompt;
  plan.prompt = options.prompt;
  set_policy(plan, bottle, facts);
  TRY(set_image(plan, agent, bottle, options, facts));
  TRY(set_runtime(plan, bottle, options, facts));
  TRY(set_workspace(plan, bottle, options, facts));
  TRY(set_env(plan, bottle, facts, options));
  set_surroundings(plan, facts);
  TRY(set_secrets(plan, bottle, facts, &options));
  // A plain variable can also sign the agent in. Version 1 had no other way.
  std::vector<Secret> given = plan.secrets;
  for (const auto& var : plan.env) given.push_back({.env = var.name});
  auto credentials = sign_in(plan.provider, given, facts);
  if (!credentials && options.if_unset == Options::IfUnset::fail) return std::unexpected(credentials.error());
  if (!credentials) plan.warnings.push_back(credentials.error().what + "; a start needs one of them");
  else std::ranges::move(*credentials, std::back_inserter(plan.secrets));
  TRY(set_parent_login(plan, bottle, facts, &options));
  TRY(check_variables(plan, bottle));
  TRY(check_limits(plan));
  // bottle adds these rules itself. They come after the limits, whose errors name keys of the manifest.
  allow_ssh(plan, bottle, facts);
  allow_provider(plan);
  TRY(check_lan(plan));
  warn_of_unreachable(plan);
  if (options.record) {
    plan.record = true;
    plan.egress.allow.push_back({.host = "*", .ports = {80, 443}});
    plan.warnings.push_back(
        "RECORD MODE, UNSAFE: this session may reach EVERY public host on ports 80 and 443, and may send out all that "
        "it holds or reads. At the end, bottle lists what it reached");
  }
  TRY(set_skills(plan, agent, facts));
  TRY(set_command(plan, agent.command, options.agent_args));
  TRY(check_text(plan));
  return plan;
}

Result<Plan> for_guard(const manifest::Bottle& policy, const Facts& facts) {
  Facts known = facts;
  if (known.session.empty()) known.session = "guard";
  Plan plan;
  plan.session = known.session;
  plan.agent = plan.bottle = policy.name;
  plan.provider = "command";
  plan.headless = true;
  set_policy(plan, policy, known);
  TRY(set_secrets(plan, policy, known, nullptr));
  TRY(set_parent_login(plan, policy, known, nullptr));
  plan.env.clear();  // there is no agent
  TRY(check_limits(plan));
  allow_ssh(plan, policy, known);
  TRY(check_lan(plan));
  warn_of_unreachable(plan);
  return plan;
}

}  // namespace bottle::plan
