// Plans the variables and secrets of a session: where each value comes from, and who may see it. No value is read
// here, because a plan is printed and kept in the ledger.
#include <algorithm>
#include <cctype>

#include "plan/parts.h"
#include "plan/provider.h"
#include "plan/text.h"

namespace bottle::plan {
namespace {

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

}  // namespace

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
    planned.exposed = secret.expose;
    // A guard that runs alone gives no variables to an agent.
    if (secret.expose && options) {
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

bool is_exposed(const Plan& plan, const Secret& secret) {
  return secret.exposed || std::ranges::any_of(plan.env, [&](const EnvVar& variable) {
           return variable.source.kind == secret.source.kind && variable.source.text == secret.source.text;
         });
}

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

}  // namespace bottle::plan
