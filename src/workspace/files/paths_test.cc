#include "workspace/files/paths.h"

#include <gtest/gtest.h>

#include "git/run/git.h"

namespace bottle::workspace {
namespace {

TEST(Paths, GitDirectoriesInEverySpelling) {
  for (const char* name :
       {".git", ".GIT", "git~1", ".git.", ".git ", ".git::$INDEX_ALLOCATION", ".g\u200cit", "x\\.git"})
    EXPECT_TRUE(is_git_directory(name)) << name;
  for (const char* name : {".gitignore", "git", ".github", "a.git"}) EXPECT_FALSE(is_git_directory(name)) << name;
}

TEST(Paths, Links) {
  EXPECT_TRUE(stays_inside("a/b", "../c"));
  EXPECT_TRUE(stays_inside("a", "b/../c"));
  EXPECT_FALSE(stays_inside("a", "../c"));
  EXPECT_FALSE(stays_inside("a/b", "../../a/c"));
  EXPECT_FALSE(stays_inside("a", "/etc"));
  EXPECT_FALSE(stays_inside("a", ".git/hooks/x"));
  EXPECT_FALSE(stays_inside("a", ""));
}

TEST(Paths, BranchNames) {
  EXPECT_TRUE(git::is_branch_name("feature/x-1"));
  for (const char* name :
       {"", "-x", "a/-x", "a..b", "a/.b", "a.lock", "a b", "a:b", "a*", "a//b", "HEAD", "a@{1}", "a\nb"})
    EXPECT_FALSE(git::is_branch_name(name)) << name;
}

}  // namespace
}  // namespace bottle::workspace
