#include "plan/plan_test.h"

namespace bottle::plan {
namespace {

TEST(Workspace, CloneWithoutARepositoryIsACopy) {
  Facts f = facts();
  f.repository.clear();
  auto plan = make(manifest::builtin(), {.agent = "claude"}, f);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->workspace_mode, manifest::WorkspaceMode::copy);
  EXPECT_EQ(plan->warnings.size(), 1u);
}

TEST(Workspace, AnAgentCannotChangeWhatBottleTrusts) {
  Facts f = facts();
  bool is_asked = false;
  f.trusted = [&] {
    is_asked = true;
    return std::vector<std::string>{"/home/me/.cache/bottle", "/home/me/dotfiles/bottle.yaml"};
  };
  auto error = [&](const char* mode, const std::string& workspace, const std::string& really = "") {
    f.workspace = f.top = workspace;
    auto plan = make(manifest::builtin(), {.agent = "claude", .workspace_mode = mode, .really = really}, f);
    return plan ? std::string() : plan.error().what;
  };
  for (const char* refused : {"/home/me/.cache", "/home/me/.cache/bottle", "/home/me/.cache/bottle/providers/x",
                              "/home/me/dotfiles", "/home"}) {
    EXPECT_NE(error("bind", refused).find("which bottle trusts"), std::string::npos) << refused;
    is_asked = false;
    for (const char* mode : {"clone", "copy", "none"}) EXPECT_EQ(error(mode, refused), "") << refused;
    EXPECT_EQ(error("bind", refused, refused), "");
    EXPECT_FALSE(is_asked) << "listing them takes time";
  }
  for (const char* other : {"/home/me/src", "/home/me/.cache/bottle2", "/home/me/dotfiles/bottle", "/home/me/.config"})
    EXPECT_EQ(error("bind", other), "") << other;
  f.trusted = []() -> Result<std::vector<std::string>> { return fail(Code::denied, "PATH cannot be read"); };
  EXPECT_EQ(error("bind", "/home/me/src"), "PATH cannot be read");
}

TEST(Workspace, ARepositoryOutsideTheWorkspaceIsNamed) {
  Facts f = facts();
  auto plan = make(manifest::builtin(), {.agent = "claude"}, f);
  ASSERT_TRUE(plan);
  EXPECT_EQ(joined(explain(*plan)).find("work tree of"), std::string::npos);
  f.repository = "/home/me/private/.git";
  for (const char* mode : {"clone", "copy"}) {
    plan = make(manifest::builtin(), {.agent = "claude", .workspace_mode = mode}, f);
    ASSERT_TRUE(plan);
    EXPECT_NE(joined(explain(*plan)).find("a work tree of the repository /home/me/private/.git\n"), std::string::npos);
    EXPECT_EQ(plan->repository, "/home/me/private/.git");
  }
  f.borrows = {"/srv/mirror/objects"};
  plan = make(manifest::builtin(), {.agent = "claude"}, f);
  EXPECT_EQ(plan->warnings, (std::vector<std::string>{"the repository borrows objects from /srv/mirror/objects"}));
  plan = make(manifest::builtin(), {.agent = "claude", .workspace_mode = "none"}, f);
  EXPECT_EQ(plan->repository, "");
  EXPECT_TRUE(plan->warnings.empty());
}

}  // namespace
}  // namespace bottle::plan
