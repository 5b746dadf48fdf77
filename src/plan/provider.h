// What each provider's program needs: its API, its sign-in, its command line.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"

namespace bottle::plan {

// Hosts of the provider's own API; nothing for shell and command.
std::vector<std::string> api_hosts(const std::string& provider);

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
