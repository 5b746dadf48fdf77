// Handles the two cases in which a secret's way to the agent differs on another machine: the sign-in token, and
// values that stay with the broker.
#include "app/place/remote_secrets.h"

#include <algorithm>

#include "session/credentials/token.h"

namespace bottle::app {

Result<std::string> token_name(const plan::Plan& plan) {
  if (const auto* secret = session::sign_in_secret(plan)) return secret->name;
  return fail(Code::invalid, "--token-via is for an agent with a sign-in token, and this agent has none",
              "leave out --token-via");
}

void warn_of_values_that_stay(plan::Plan& plan) {
  if (std::ranges::find(plan.secrets, plan::kParentLogin, &plan::Secret::name) != plan.secrets.end())
    plan.warnings.push_back(
        "egress.parent_proxy_login stays on this machine with --secrets tunnel: only requests with a secret use it");
  if (!plan.scan.secrets.empty())
    plan.warnings.push_back(
        "the values of scan.secrets stay on this machine with --secrets tunnel: the guard looks for them only in "
        "requests that go through this machine, such as those to hosts of a secret");
  for (const auto& secret : plan.secrets)
    if (secret.name != plan::kParentLogin && plan::is_exposed(plan, secret))
      plan.warnings.push_back("the value of secret " + secret.name +
                              " goes to the remote machine in spite of --secrets tunnel, because the agent has it in "
                              "a variable");
}

}  // namespace bottle::app
