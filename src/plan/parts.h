// Declares the parts of a plan that make() puts together. Each set_… or allow_… function decides one part, and each
// check_… function refuses a combination that the manifest's parser cannot judge. Errors begin with the position of the
// manifest's key, if it is known.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"

namespace bottle::plan {

// Returns "path:line:column: " for a key, or an empty string if its position is unknown.
std::string at(const manifest::Positions& positions, const std::string& key);
// Returns the path with the operator's home in place of a leading "~".
std::string expand(const std::string& path, const Facts& facts);

template <typename Map>
std::vector<std::string> names(const Map& map) {
  std::vector<std::string> all;
  for (const auto& [name, unused] : map) all.push_back(name);
  return all;
}

// -- values.cc
Result<> set_env(Plan& plan, const manifest::Bottle& bottle, const Facts& facts, const Options& options);
// Passes on the operator's time zone, locale and terminal colors, unless the bottle sets these variables.
void set_surroundings(Plan& plan, const Facts& facts);
// Plan the secrets. `options` is null if no session starts, so that the operator's environment does not matter.
Result<> set_secrets(Plan& plan, const manifest::Bottle& bottle, const Facts& facts, const Options* options);
Result<> set_parent_login(Plan& plan, const manifest::Bottle& bottle, const Facts& facts, const Options* options);
// Refuses a variable that is set twice. Otherwise a literal could silently replace a placeholder, or the reverse.
Result<> check_variables(const Plan& plan, const manifest::Bottle& bottle);

// -- egress.cc
// Copies what the guard needs. Only paths change: they become paths on this machine.
void set_policy(Plan& plan, const manifest::Bottle& bottle, const Facts& facts);
void allow_ssh(Plan& plan, const manifest::Bottle& bottle, const Facts& facts);
void allow_provider(Plan& plan);
Result<> check_lan(const Plan& plan);
// Refuses a limit for costs without prices, because the estimated cost would stay 0.
Result<> check_limits(const Plan& plan);
void warn_of_unreachable(Plan& plan);

// -- workspace.cc
Result<> set_workspace(Plan& plan, const manifest::Bottle& bottle, const Options& options, const Facts& facts);
Result<> set_skills(Plan& plan, const manifest::Agent& agent, const Facts& facts);

}  // namespace bottle::plan
