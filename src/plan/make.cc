// Makes a plan from a manifest, the options and the facts. All of that happens before anything is created. The order in
// make() matters where a part depends on an earlier one, as the agent's command depends on the prompt.
#include <algorithm>
#include <ranges>

#include "base/ids.h"
#include "plan/image_names.h"
#include "plan/parts.h"
#include "plan/plan.h"
#include "plan/provider.h"
#include "plan/text.h"

namespace bottle::plan {

std::string at(const manifest::Positions& positions, const std::string& key) {
  auto it = positions.find(key);
  return it == positions.end() ? "" : it->second + ": ";
}

std::string expand(const std::string& path, const Facts& facts) {
  auto home = facts.environment.find("HOME");
  return path.starts_with("~/") && home != facts.environment.end() ? home->second + path.substr(1) : path;
}

namespace {

Result<> set_image(Plan& plan, const manifest::Agent& agent, const manifest::Bottle& bottle, const Options& options,
                   const Facts& facts) {
  if (!options.image.empty()) {
    plan.image = {options.image, Image::Recipe::none, "", plan.provider, {}, {}};
  } else if (!bottle.image.empty()) {
    plan.image = {bottle.image, Image::Recipe::none, "", plan.provider, bottle.packages, {}};
  } else if (!bottle.dockerfile.empty()) {
    auto content = facts.images.dockerfiles.find(bottle.dockerfile);
    if (content == facts.images.dockerfiles.end())
      return fail(Code::not_found, at(bottle.positions, "dockerfile") + "dockerfile: cannot read " + bottle.dockerfile);
    plan.image = {dockerfile_reference(bottle.dockerfile, content->second, facts.images),
                  Image::Recipe::dockerfile,
                  expand(bottle.dockerfile, facts),
                  plan.provider,
                  bottle.packages,
                  {}};
  } else {
    plan.image = bootstrap_image(plan.provider, bottle.packages, agent.pin, facts.images);
  }
  if (plan.image.recipe != Image::Recipe::bootstrap && !bottle.packages.empty())
    plan.warnings.push_back("packages are not installed, because the bottle has its own image or dockerfile");
  if (plan.image.recipe != Image::Recipe::bootstrap && !agent.pin.version.empty())
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

std::unexpected<Error> no_agent(const manifest::Manifest& manifest, const std::string& name) {
  for (const auto& each : manifest.unusable)
    if (each.name == name || each.name.empty()) return std::unexpected(each.why);
  std::string todo = manifest::suggest(name, names(manifest.agents));
  // Many operators start a built-in agent before they write a manifest, and it is then gone.
  if (manifest::builtin().agents.contains(name) && !todo.starts_with("did you mean"))
    todo += (todo.empty() ? "" : "; ") + std::string("the built-in agents exist only without a manifest, so define '") +
            name + "' under `agents:`";
  if (!manifest.unusable.empty())
    todo += (todo.empty() ? "" : "; ") + std::string("`bottle check` lists mistakes in this repository's agents");
  return fail(Code::not_found, "there is no agent '" + name + "'", std::move(todo));
}

// Warns of the repository's agents that cannot be used. Anyone may have written the repository, so the list is short.
void warn_of_unusable(Plan& plan, const manifest::Manifest& manifest) {
  constexpr size_t kMost = 3;
  for (const auto& each : manifest.unusable | std::views::take(kMost))
    plan.warnings.push_back(
        (each.name.empty() ? "this repository's agents" : "agent '" + each.name + "' of this repository") +
        " cannot be used: " + each.why.what);
  if (manifest.unusable.size() > kMost)
    plan.warnings.push_back("`bottle check` lists more mistakes in this repository's agents");
}

}  // namespace

Result<Plan> make(const manifest::Manifest& manifest, const Options& options, const Facts& facts) {
  if (!is_session_name(facts.session))
    return fail(Code::invalid, "'" + facts.session + "' is not a valid name for a session",
                "use up to 40 of a-z, 0-9 and -");
  auto found = manifest.agents.find(options.agent);
  if (found == manifest.agents.end()) return no_agent(manifest, options.agent);
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
  warn_of_unusable(plan, manifest);
  if (agent.from_repository) plan.warnings.push_back("agent '" + agent.name + "' comes from this repository");
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
