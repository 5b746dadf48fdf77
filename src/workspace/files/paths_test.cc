#include "workspace/files/paths.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/text/colliding_texts_test.h"
#include "workspace/files/sent.h"

namespace bottle::workspace {
namespace {

TEST(Paths, RecognizeGitDirectoriesInEverySpelling) {
  for (const char* name :
       {".git", ".GIT", "git~1", ".git.", ".git ", ".git::$INDEX_ALLOCATION", ".g\u200cit", "x\\.git"})
    EXPECT_TRUE(is_git_directory(name)) << name;
  for (const char* name : {".gitignore", "git", ".github", "a.git"}) EXPECT_FALSE(is_git_directory(name)) << name;
}

TEST(Paths, JudgeLinks) {
  EXPECT_TRUE(stays_inside("a/b", "../c"));
  for (const char* target : {"../c", "../../a/c", "/etc", ".git/hooks/x", ""})
    EXPECT_FALSE(stays_inside("a", target)) << target;
  EXPECT_TRUE(stays_inside("a", "b/../c"));
  EXPECT_FALSE(stays_inside("a/b", "../../a/c"));
  for (const char* target : {"..", "../../x", "a/b", "./../x", "a..b/x", "/x", ""})
    EXPECT_FALSE(goes_back(target)) << target;
  for (const char* target : {"s/..", "s/../../x", "./s/./../x", "../s//../x", "/x/.."})
    EXPECT_TRUE(goes_back(target)) << target;
}

// An agent chooses the paths in its repository.
TEST(Sent, FilesWithPathsThatAnAttackerMadeAreFoundQuickly) {
  Sent sent;
  for (const auto& path : colliding_texts(12)) sent.files[path];
  ASSERT_EQ(sent.files.size(), 4096u);
  size_t fullest = 0;
  for (size_t i = 0; i < sent.files.bucket_count(); ++i) fullest = std::max(fullest, sent.files.bucket_size(i));
  EXPECT_LT(fullest, 100u);
}

}  // namespace
}  // namespace bottle::workspace
