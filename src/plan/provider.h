// Describes what each provider's program needs: its API, its credentials and its command line.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"

namespace bottle::plan {

// Returns the hosts of the provider's own API. The list is empty for shell and command.
std::vector<std::string> api_hosts(const std::string& provider);

// Returns the hosts of the agent's model: the provider's own API, and hosts for which the plan has a secret that an
// agent's program signs in with.
std::vector<std::string> model_hosts(const Plan& plan);

// Returns the header for a secret for which the manifest names none, by the agent's variable. "" means Authorization.
std::string usual_header(const std::string& variable);

// Returns whether an agent's program signs in to its model with this variable.
bool signs_in(const std::string& variable);

// Returns the provider's own credential, taken from the operator's environment and bound to its API, unless `given`
// (the manifest's secrets) already has one. Fails if the operator has none.
Result<std::vector<Secret>> sign_in(const std::string& provider, const std::vector<Secret>& given, const Facts& facts);

// Returns the placeholder for the secret `name`. It looks like a real value if the provider's program checks that.
std::string placeholder(const std::string& session, const std::string& name);

// Sets plan.command and, for codex, puts the system prompt before plan.prompt. Reads plan.provider, .headless, .prompt
// and .system_prompt. Fails if the prompt is too long for an argument, or is missing where the program needs one.
Result<> set_command(Plan& plan, const std::vector<std::string>& own, const std::vector<std::string>& extra);

}  // namespace bottle::plan
