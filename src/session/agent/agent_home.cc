// The home directory is written before the workspace, into the same archive. Skills are the operator's files, but may
// come from a repository. Only directories and regular files are taken, because a link could lead to any other file
// of the operator's, whose content the agent would get.
#include "session/agent/agent_home.h"

#include <dirent.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/defer.h"
#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/text/path_parts.h"

namespace bottle::session {
namespace {

using wire::Job;

// Writes a directory of a skill. Fails beyond 16 levels, so that the depth of the recursion is bounded.
Result<> put_tree(docker::TarWriter& tar, const std::string& from, const std::string& to, const plan::Plan& plan,
                  int depth) {
  if (depth > 16) return fail(Code::limit, from + " is nested too deeply");
  TRY(tar.directory(to, 0755, plan.uid, plan.gid));
  DIR* dir = ::opendir(from.c_str());
  if (!dir) return fail_errno("opening the skill " + from);
  Defer close([&] { ::closedir(dir); });
  while (const dirent* entry = TRY(next_entry(dir, "the skill " + from))) {
    std::string name = std::string("/") + entry->d_name, path = from + name;
    struct stat st{};
    if (::lstat(path.c_str(), &st) != 0) continue;
    if (S_ISDIR(st.st_mode)) TRY(put_tree(tar, path, to + name, plan, depth + 1));
    else if (S_ISREG(st.st_mode)) TRY(tar.file(to + name, st.st_mode & 0777, plan.uid, plan.gid, TRY(read_file(path))));
  }
  return {};
}

}  // namespace

std::string start_directory(const plan::Plan& plan) {
  return plan.start.empty() ? plan.workdir : plan.workdir + "/" + plan.start;
}

Result<> put_home(docker::TarWriter& tar, const Job& job) {
  const auto& plan = job.plan;
  if (plan.provider == "claude") {
    TRY(tar.directory("home/agent/.claude", 0700, plan.uid, plan.gid));
    // These settings answer the first-run questions, because no operator is in the bottle to answer them.
    nlohmann::json settings = {
        {"hasCompletedOnboarding", true},
        {"bypassPermissionsModeAccepted", true},
        {"projects",
         {{start_directory(plan), {{"hasTrustDialogAccepted", true}, {"hasCompletedProjectOnboarding", true}}}}}};
    TRY(tar.file("home/agent/.claude.json", 0600, plan.uid, plan.gid, settings.dump()));
  }
  return put_skills(tar, plan);
}

// Writes the skills below the directory in which the provider's program looks for them.
Result<> put_skills(docker::TarWriter& tar, const plan::Plan& plan) {
  if (plan.skills.empty()) return {};
  std::string base = plan.provider == "codex" ? "home/agent/.codex" : "home/agent/.claude";
  if (plan.provider != "claude") TRY(tar.directory(base, 0700, plan.uid, plan.gid));
  TRY(tar.directory(base + "/skills", 0755, plan.uid, plan.gid));
  for (const auto& skill : plan.skills)
    TRY(put_tree(tar, skill, base + "/skills/" + std::string(name_in(skill)), plan, 0));
  return {};
}

}  // namespace bottle::session
