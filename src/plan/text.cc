#include "plan/text.h"

#include <string>

#include "base/text/json.h"
#include "base/text/line.h"

namespace bottle::plan {

Result<> check_text(const Plan& plan) {
  auto check = [](const std::string& what, const std::string& text, const std::string& todo) -> Result<> {
    if (is_utf8(text)) return {};
    return fail(Code::invalid, what + " is not UTF-8: " + one_line(text, 4096), todo);
  };
  const std::string rename = "rename the part that is not UTF-8";
  TRY(check("the path of the workspace", plan.workspace,
            rename + ", or start in a copy of the directory whose path is UTF-8"));
  TRY(check("the path of the directory to start in", plan.start, rename + ", or start in another directory"));
  TRY(check("the path of the workspace's repository", plan.repository, rename));
  for (const auto& skill : plan.skills) TRY(check("the path of a skill", skill, rename));
  // These are below $HOME if they begin with ~ in the manifest.
  TRY(check("the path of the dockerfile", plan.image.dockerfile, rename));
  for (const auto* files : {&plan.egress.extra_ca, &plan.scan.secrets, &plan.scan.rules})
    for (const auto& file : *files) TRY(check("the path of a file that the manifest names", file, rename));
  for (const auto& host : plan.ssh) TRY(check("the path of an ssh key", host.identity_file, rename));
  for (const auto& secret : plan.secrets) TRY(check("the source of secret " + secret.name, secret.source.text, rename));
  TRY(check("the name of the image", plan.image.reference, ""));
  if (!is_utf8(plan.prompt)) return fail(Code::invalid, "the prompt is not UTF-8");
  for (const auto& word : plan.command)
    if (!is_utf8(word)) return fail(Code::invalid, "an argument for the agent is not UTF-8");
  return {};
}

}  // namespace bottle::plan
