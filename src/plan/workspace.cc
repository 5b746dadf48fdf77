// Plans which directory the agent gets, as what, and as which user, and which skills go with it.
#include "base/text/shell_word.h"
#include "plan/parts.h"

namespace bottle::plan {
namespace {

using manifest::WorkspaceMode;

bool is_at_or_above(const std::string& above, const std::string& path) {
  return above == "/" || path == above || path.starts_with(above + "/");
}

std::unexpected<Error> refuse(const Plan& plan, const std::string& why) {
  return fail(Code::denied, plan.workspace + " cannot be a workspace: " + why,
              "start in a project's directory; if you mean it, add --yes-really " + shell_word(plan.workspace));
}

// Refuses a home directory, because it holds keys, and any directory above bottle's own, because it holds the policy
// and the results. If the agent can write to the workspace itself, also refuses anything that bottle trusts, because
// the agent could change the policy, or programs that bottle runs outside the bottle.
Result<> refuse_precious(const Plan& plan, const Options& options, const Facts& facts) {
  if (plan.workspace_mode == WorkspaceMode::none || plan.workspace == options.really) return {};
  for (const auto& path : facts.precious)
    if (is_at_or_above(plan.workspace, path))
      return refuse(plan, (plan.workspace == path ? "it holds your own settings and keys" : path + " is in it") +
                              ", which the agent could read");
  if (plan.workspace_mode != WorkspaceMode::bind) return {};
  for (const auto& path : TRY(facts.trusted()))
    if (is_at_or_above(plan.workspace, path) || is_at_or_above(path, plan.workspace))
      return refuse(plan, "with `bind`, the agent could change " + path + ", which bottle trusts");
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

}  // namespace

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

}  // namespace bottle::plan
