// Tests that bottle reads refs as the real git does, and that git understands the refs that bottle writes.
#include "git/refs.h"

#include <fcntl.h>

#include <algorithm>
#include <thread>

#include "base/files/file.h"
#include "git/git_test.h"

namespace bottle::git {
namespace {

class RefFiles : public Repositories {
 protected:
  void SetUp() override {
    Repositories::SetUp();
    make_repository();
    first_ = git("rev-parse HEAD");
    put(repo + "/a.txt", "two\n");
    git("commit -qam second");
    second_ = git("rev-parse HEAD");
  }
  Repository repository(const std::string& where = "") { return **find(where.empty() ? repo : where); }
  // Returns the refs as `git for-each-ref` shows them.
  std::string as_git(const std::string& below) {
    return git("for-each-ref '--format=%(objectname) %(refname)' " + below.substr(0, below.size() - 1));
  }
  void expect_same(const std::string& below) {
    auto refs = read_refs(repository(), below);
    ASSERT_TRUE(refs) << refs.error().what;
    std::string text = packed(*refs);
    if (text.ends_with('\n')) text.pop_back();
    EXPECT_EQ(text, as_git(below));
  }

  std::string first_, second_;
};

TEST_F(RefFiles, AreReadAsGitReadsThem) {
  git("branch one HEAD^");
  git("branch deep/er/two");
  git("tag -am note annotated");
  git("pack-refs --all");
  git("branch -f one HEAD");  // a loose ref overrides a packed one
  git("branch three HEAD^");
  git("branch -D deep/er/two");
  git("symbolic-ref refs/heads/alias refs/heads/three");
  put(repo + "/.git/refs/heads/broken", "no id\n");
  put(repo + "/.git/refs/heads/three.lock", second_ + "\n");
  put(repo + "/.git/refs/heads/un~fit", second_ + "\n");
  fs::create_directories(repo + "/.git/refs/heads/empty/dir");
  auto refs = read_refs(repository(), "refs/heads/");
  ASSERT_TRUE(refs) << refs.error().what;
  EXPECT_EQ(*refs, (Refs{{"refs/heads/alias", first_},
                         {"refs/heads/main", second_},
                         {"refs/heads/one", second_},
                         {"refs/heads/three", first_}}));
  fs::remove(repo + "/.git/refs/heads/broken");
  fs::remove(repo + "/.git/refs/heads/un~fit");
  expect_same("refs/heads/");
  expect_same("refs/tags/");
}

TEST_F(RefFiles, HeadIsThatOfTheWorkTree) {
  auto head = [&](const std::string& where = "") { return *read_head(repository(where)); };
  EXPECT_EQ(head().branch, "refs/heads/main");
  EXPECT_EQ(head().commit, second_);
  git("pack-refs --all");
  EXPECT_EQ(head().commit, second_);
  git("worktree add -q --detach " + root + "/side HEAD^");
  EXPECT_EQ(head(root + "/side").commit, first_);
  EXPECT_EQ(head(root + "/side").branch, "");
  EXPECT_EQ(head().commit, second_);
  git("symbolic-ref refs/heads/alias refs/heads/main");
  git("symbolic-ref HEAD refs/heads/alias");
  EXPECT_EQ(head().commit, second_);
  git("symbolic-ref HEAD refs/heads/unborn");
  EXPECT_EQ(head().commit, "");
  EXPECT_EQ(head().branch, "refs/heads/unborn");
  for (const char* broken : {"", "ref: ../../x\n", "ref: refs/heads/a..b\n", "nonsense\n"}) {
    put(repo + "/.git/HEAD", broken);
    EXPECT_FALSE(read_head(repository())) << broken;
  }
  put(repo + "/.git/refs/heads/circle", "ref: refs/heads/circle\n");
  put(repo + "/.git/HEAD", "ref: refs/heads/circle\n");
  EXPECT_FALSE(read_head(repository()));
}

TEST_F(RefFiles, GitReadsWhatBottleWrites) {
  std::string ours = "refs/bottle/s1/";
  ASSERT_TRUE(write_ref(repository(), ours + "heads/main", first_));
  ASSERT_TRUE(write_ref(repository(), ours + "heads/feature/x", second_));
  ASSERT_TRUE(write_ref(repository(), ours + "heads/main", second_));
  EXPECT_EQ(as_git(ours), second_ + " " + ours + "heads/feature/x\n" + second_ + " " + ours + "heads/main");
  git("fsck --strict");
  git("pack-refs --all");
  ASSERT_TRUE(write_ref(repository(), ours + "heads/main", first_));
  EXPECT_EQ(git("rev-parse " + ours + "heads/main"), first_);
  // These names conflict with existing refs, packed or loose.
  for (const char* name : {"heads/feature", "heads/main/y", "heads"}) {
    auto written = write_ref(repository(), ours + name, first_);
    ASSERT_FALSE(written) << name;
    EXPECT_EQ(written.error().code, Code::conflict);
  }
  EXPECT_FALSE(write_ref(repository(), "refs/heads/main", first_));
  EXPECT_FALSE(write_ref(repository(), "refs/bottle/../heads/main", first_));

  git("branch other");
  git("pack-refs --all");
  git("update-ref --create-reflog -m x " + ours + "worktree HEAD");
  git("tag -am note v1");
  git("update-ref " + ours + "tag v1");
  git("pack-refs --all");
  ASSERT_TRUE(write_ref(repository(), ours + "heads/main", second_));  // now both packed and loose
  ASSERT_TRUE(delete_refs(repository(), {ours + "heads/main", ours + "worktree", ours + "tag", ours + "nothing"}));
  EXPECT_EQ(as_git("refs/bottle/"), second_ + " " + ours + "heads/feature/x");
  EXPECT_FALSE(fs::exists(repo + "/.git/refs/bottle/s1"));
  EXPECT_FALSE(fs::exists(repo + "/.git/logs/refs/bottle/s1"));
  expect_same("refs/tags/");
  expect_same("refs/heads/");
  git("fsck --strict");
  ASSERT_TRUE(delete_refs(repository(), {ours + "heads/feature/x"}));
  ASSERT_TRUE(write_ref(repository(), ours + "heads", first_));
}

TEST_F(RefFiles, WaitForALockAndDoNotBreakIt) {
  std::string name = "refs/bottle/s1/worktree", lock = repo + "/.git/" + name + ".lock";
  put(lock, "");
  Repository impatient = repository();
  impatient.lock_patience = std::chrono::milliseconds(50);
  auto written = write_ref(impatient, name, first_);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::conflict);
  EXPECT_TRUE(fs::exists(lock));
  std::thread other([&] {
    ::usleep(200'000);
    fs::remove(lock);
  });
  Repository patient = repository();
  patient.lock_patience = std::chrono::minutes(1);
  EXPECT_TRUE(write_ref(patient, name, first_));
  other.join();
  git("pack-refs --all");
  put(repo + "/.git/packed-refs.lock", "");
  EXPECT_FALSE(delete_refs(impatient, {name}));
  EXPECT_EQ(git("rev-parse " + name), first_);
}

TEST_F(RefFiles, AreNotWrittenThroughALink) {
  fs::create_directory(root + "/elsewhere");
  fs::create_directory_symlink(root + "/elsewhere", repo + "/.git/refs/bottle");
  EXPECT_FALSE(write_ref(repository(), "refs/bottle/s1/worktree", first_));
  EXPECT_TRUE(fs::is_empty(root + "/elsewhere"));
  put(root + "/elsewhere/s1/worktree", "kept");
  EXPECT_TRUE(delete_refs(repository(), {"refs/bottle/s1/worktree"}));  // a missing ref is not an error
  EXPECT_TRUE(fs::exists(root + "/elsewhere/s1/worktree"));
  fs::remove(repo + "/.git/refs/bottle");
  fs::create_directories(repo + "/.git/refs/bottle/s1");
  put(root + "/victim", "kept");
  fs::create_symlink(root + "/victim", repo + "/.git/refs/bottle/s1/worktree");
  EXPECT_TRUE(write_ref(repository(), "refs/bottle/s1/worktree", first_));
  EXPECT_EQ(*read_file(root + "/victim"), "kept");
  EXPECT_EQ(git("rev-parse refs/bottle/s1/worktree"), first_);
}

TEST_F(RefFiles, OfASharedRepositoryAreWritableForTheGroup) {
  configure("core.sharedRepository", "group");
  mode_t before = ::umask(077);
  auto written = write_ref(repository(), "refs/bottle/s1/worktree", first_);
  ::umask(before);
  ASSERT_TRUE(written);
  EXPECT_EQ(sh("stat -c %A " + repo + "/.git/refs/bottle/s1/worktree " + repo + "/.git/refs/bottle/s1"),
            "-rw-rw----\ndrwxrws---");
}

TEST(RefNames, FollowTheRulesOfGit) {
  for (const char* name : {"refs/heads/main", "refs/heads/a/b-c.d", "refs/heads/fix/größe", "refs/heads/a@b", "refs/x"})
    EXPECT_TRUE(is_ref_name(name)) << name;
  for (const char* name : {"HEAD", "refs/heads/", "refs//x", "refs/heads/.x", "refs/heads/x.lock",
                           "refs/heads/x.lock/y", "refs/heads/a..b", "refs/heads/a b", "refs/heads/a~1",
                           "refs/heads/a^", "refs/heads/a:b", "refs/heads/a?", "refs/heads/a*", "refs/heads/a[",
                           "refs/heads/a\\b", "refs/heads/@{", "refs/heads/x.", "refs/heads/\x7f", "refs/heads/a\nb"})
    EXPECT_FALSE(is_ref_name(name)) << name;
}

TEST(RefNames, OfBranchesFollowStricterRules) {
  EXPECT_TRUE(is_branch_name("feature/x-1"));
  for (const char* name :
       {"", "-x", "a/-x", "a..b", "a/.b", "a.lock", "a b", "a:b", "a*", "a//b", "HEAD", "a@{1}", "a\nb"})
    EXPECT_FALSE(is_branch_name(name)) << name;
}

}  // namespace
}  // namespace bottle::git
