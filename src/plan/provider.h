// What each provider's program needs: its API, its sign-in, its command line.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"

namespace bottle::plan {

// Hosts of the provider's own API; nothing for shell and command.
std::vector<std::string> api_hosts(const std::string& provider);

// Hosts of the agent's model: the provider's own API, and those to which a secret is bound that a provider's program
// signs in with.
std::vector<std::string> model_hosts(const Plan& plan);

// The header that a secret goes in when the manifest names none, by the agent's variable: "" for Authorization.
std::string usual_header(const std::string& variable);

// Whether a provider's program takes its credentials from this variable.
bool signs_in(const std::string& variable);

// The provider's own sign-in, unless `given` (the manifest's secrets) already has one: from the operator's environment,
// bound to the API. Error when the operator has none.
Result<std::vector<Secret>> sign_in(const std::string& provider, const std::vector<Secret>& given, const Facts& facts);

// What stands in for the secret `name` in the bottle. Shaped like the real thing where the provider's program looks.
std::string placeholder(const std::string& session, const std::string& name);

// Fills in plan.command (and, for codex, puts the system prompt before plan.prompt). Reads plan.provider, .headless,
// .prompt and .system_prompt. Errors: a prompt too long for an argument, or none where the program needs one.
Result<> set_command(Plan& plan, const std::vector<std::string>& own, const std::vector<std::string>& extra);

}  // namespace bottle::plan
