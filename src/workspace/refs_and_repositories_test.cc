// Tests that no work of an agent is lost silently.
#include <sys/file.h>

#include "base/text/words.h"
#include "git/refs.h"
#include "wire/repositories/repositories.h"
#include "workspace/agent_work_test.h"
#include "workspace/receiving/ref_names.h"
#include "workspace/receiving/take.h"

namespace bottle::workspace {
namespace {

using manifest::WorkspaceMode;

class RefsAndRepositories : public AgentWork {};

TEST_F(RefsAndRepositories, BranchesOfEveryNameComeBack) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  std::string lengthy = std::string(150, 'x') + "/" + std::string(60, 'y');
  std::string branches;  // for git fast-import
  for (const std::string& name : {std::string("fix/größe"), std::string("o'brien"), std::string("a&b"),
                                  std::string("50%"), std::string("ok/#12"), lengthy, std::string(240, 'z')}) {
    std::string message = name.substr(0, 20);
    branches += "commit refs/heads/" + name + "\ncommitter t <t@t> 1700000000 +0000\ndata " +
                std::to_string(message.size()) + "\n" + message + "\nfrom refs/heads/main^0\n\n";
    put(inside + "/.git/HEAD", "ref: refs/heads/" + name + "\n");
  }
  put(root + "/branches", branches);
  git("fast-import --quiet <" + root + "/branches", inside);
  auto back = come_home(sent.base);
  EXPECT_EQ(back.commits, 7u);
  EXPECT_EQ(back.skipped, 0u) << back.text;
  for (const char* ref : {"encoded/heads/fix/gr=C3=B6=C3=9Fe", "encoded/heads/o=27brien", "encoded/heads/a=26b",
                          "encoded/heads/50=25", "heads/ok/#12"})
    EXPECT_EQ(git("cat-file -t refs/bottle/s1/" + std::string(ref)), "commit") << refs();
  EXPECT_NE(back.text.find("(refs/heads/fix/größe)"), std::string::npos) << back.text;
  EXPECT_EQ(git("cat-file -t refs/bottle/s1/encoded/heads/" + lengthy), "commit");
  // Nothing on the branch that was checked out is missing from the worktree ref either.
  EXPECT_EQ(git("log -1 --format=%s refs/bottle/s1/worktree"), std::string(20, 'z'));
}

TEST_F(RefsAndRepositories, LinksThatGitIgnoresAreNamed) {
  put(repo + "/.gitignore", "dist/\n");
  git("add -A");
  git("update-index --add --cacheinfo 160000," + git("rev-parse HEAD") + ",lib");
  git("commit -qm rules");
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  fs::create_directory(inside + "/dist");
  fs::create_symlink("../a.txt", inside + "/dist/latest");
  auto back = come_home(sent.base);
  EXPECT_TRUE(says(back, "Ignored by git, and not taken: dist/ (1 file).")) << back.text;
  EXPECT_TRUE(says(back, "Links among them have no copy: dist/latest → ../a.txt")) << back.text;
  limits.keep_ignored = true;
  for (const char* file : {"", "/dist/a"}) {
    if (*file) put(inside + file, "a\n");
    back = come_home(sent.base);
    EXPECT_TRUE(says(back, "Links that git ignores are not kept")) << back.text;
    EXPECT_TRUE(says(back, ": dist/latest → ../a.txt\n")) << back.text;
    EXPECT_FALSE(says(back, "not taken")) << back.text;
    EXPECT_EQ(fs::exists(root + "/results/s1/kept/dist/a"), *file != 0);
    EXPECT_FALSE(fs::is_symlink(root + "/results/s1/kept/dist/latest"));
    EXPECT_TRUE(back.is_incomplete);
  }
  fs::remove_all(inside + "/dist");
  fs::create_directory(inside + "/lib");
  fs::create_symlink("x", inside + "/lib/link");
  back = come_home(sent.base);
  EXPECT_TRUE(flagged(back, "lib/link: not brought home, because it is in a submodule that was not sent"));
}

TEST_F(RefsAndRepositories, TagsNotesAndStashesComeBack) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  git("commit -q --allow-empty -m only-tagged", inside);
  git("tag -am note v9", inside);
  git("reset -q --hard HEAD~1", inside);
  git("tag light", inside);
  git("notes add -m remark HEAD", inside);
  for (const char* text : {"first\n", "second\n"}) {
    put(inside + "/a.txt", text);
    git("stash -q", inside);
  }
  git("update-ref refs/odd/one HEAD", inside);
  auto back = come_home(sent.base);
  EXPECT_EQ(refs(),
            "refs/bottle/s1/notes/commits\nrefs/bottle/s1/other/odd/one\nrefs/bottle/s1/stash/0\n"
            "refs/bottle/s1/stash/1\nrefs/bottle/s1/tags/light\nrefs/bottle/s1/tags/v9")
      << back.text;
  EXPECT_EQ(git("log -1 --format=%s refs/bottle/s1/tags/v9"), "only-tagged");
  EXPECT_EQ(git("show refs/bottle/s1/stash/0:a.txt refs/bottle/s1/stash/1:a.txt"), "second\nfirst");
  EXPECT_EQ(back.text.find("Nothing changed"), std::string::npos);
  // Refs that the agent removed are removed.
  git("tag -d light", inside);
  come_home(sent.base);
  EXPECT_EQ(refs().find("light"), std::string::npos);
}

TEST_F(RefsAndRepositories, IgnoredFilesAreNamedAndKeptOnRequest) {
  put(repo + "/.gitignore", "dist/\n*.log\n");
  git("add -A");
  git("commit -qm ignore");
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  put(inside + "/dist/out/a.js", "made\n");
  put(inside + "/dist/b.js", "made\n");
  put(inside + "/sub/x.log", "log\n");
  auto back = come_home(sent.base);
  EXPECT_EQ(back.ignored, (std::vector<std::string>{"dist/", "sub/"}));
  EXPECT_FALSE(back.is_incomplete);
  EXPECT_TRUE(says(back, "A copy of them, unchecked: " + root + "/results/s1/ignored\n")) << back.text;
  EXPECT_NE(back.text.find("dist/"), std::string::npos);
  EXPECT_EQ(back.text.find("Nothing changed"), std::string::npos);
  limits.keep = {"dist/"};
  back = come_home(sent.base);
  EXPECT_EQ(*read_file(root + "/results/s1/kept/dist/out/a.js"), "made\n");
  EXPECT_FALSE(fs::exists(root + "/results/s1/kept/sub"));
  limits.keep_ignored = true;
  back = come_home(sent.base);
  EXPECT_EQ(*read_file(root + "/results/s1/kept/sub/x.log"), "log\n");
  EXPECT_FALSE(back.is_incomplete);
}

TEST_F(RefsAndRepositories, FilesThatAreNotTakenAreNamed) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  make_inner(inside + "/made");
  ASSERT_EQ(::mkfifo((inside + "/pipe").c_str(), 0600), 0);
  auto back = come_home(sent.base);
  EXPECT_TRUE(back.is_incomplete);
  EXPECT_TRUE(flagged(back, "made/.git"));
  EXPECT_TRUE(flagged(back, "pipe"));
  EXPECT_EQ(git("show refs/bottle/s1/worktree:made/v.txt"), "v");
}

TEST_F(RefsAndRepositories, RepositoriesBelowADirectoryGetTheirOwnRefs) {
  fs::remove_all(repo + "/.git");
  for (const char* name : {"/api", "/web"}) make_inner(repo + name);
  auto sent = pack(WorkspaceMode::clone);
  EXPECT_EQ(sent.base, "");
  unpack();
  put(inside + "/api/v.txt", "agent's\n");
  git("commit -qam agent", inside + "/api");
  put(inside + "/web/new.txt", "new\n");
  put(inside + "/notes.txt", "n\n");
  auto back = come_home("");
  ASSERT_EQ(back.below.size(), 2u) << back.text;
  EXPECT_EQ(refs(repo + "/api"), "refs/bottle/s1/heads/main\nrefs/bottle/s1/worktree");
  EXPECT_EQ(git("show refs/bottle/s1/worktree:new.txt", repo + "/web"), "new");
  EXPECT_EQ(*read_file(root + "/results/s1/files/notes.txt"), "n\n");
  EXPECT_EQ(back.files, 3u);
  git("apply " + back.below[1].patch, repo + "/web");
  EXPECT_EQ(*read_file(repo + "/web/new.txt"), "new\n");
}

// The directory "filtered" is also one of the results of each repository.
TEST_F(RefsAndRepositories, NestedRepositoriesHaveSeparateResults) {
  fs::remove_all(repo + "/.git");
  make_inner(repo + "/a");
  put(repo + "/a/.gitattributes", "*.bin filter=x\n");
  put(repo + "/a/.gitignore", "/filtered/\n");
  configure("filter.x.clean", "cat", repo + "/a");
  git("add -A", repo + "/a");
  git("commit -qm rules", repo + "/a");
  make_inner(repo + "/a/filtered");
  pack(WorkspaceMode::copy);
  unpack();
  put(inside + "/a/changes.bin", "filtered\n");
  put(inside + "/a/filtered/v.txt", "agent's\n");
  auto back = come_home("");
  ASSERT_EQ(back.below.size(), 2u) << back.text;
  ASSERT_TRUE(fs::exists(back.below[1].patch)) << back.text;
  EXPECT_EQ(sh("find " + root + "/results/s1/below -name changes.bin | wc -l"), "1");
  git("apply " + back.below[1].patch, repo + "/a/filtered");
  EXPECT_EQ(*read_file(repo + "/a/filtered/v.txt"), "agent's\n");
}

TEST_F(RefsAndRepositories, ARepositoryInsideARepositoryGetsItsOwnRefs) {
  put(repo + "/.gitignore", "/hidden/\n");
  git("add -A");
  git("commit -qm ignore");
  for (const char* name : {"/vendor", "/hidden"}) make_inner(repo + name);
  for (auto mode : {WorkspaceMode::copy, WorkspaceMode::clone}) {
    auto sent = pack(mode);
    unpack();
    for (const char* name : {"/vendor", "/hidden"}) {
      EXPECT_EQ(git("status --porcelain", inside + name), "");
      put(inside + name + "/v.txt", "agent's\n");
    }
    put(inside + "/a.txt", "top\n");
    auto back = come_home(sent.base);
    EXPECT_EQ(git("diff --name-only HEAD refs/bottle/s1/worktree"), "a.txt");
    for (const char* name : {"/vendor", "/hidden"})
      EXPECT_EQ(git("show refs/bottle/s1/worktree:v.txt", repo + name), "agent's");
    EXPECT_EQ(back.below.size(), 2u);
    EXPECT_EQ(back.skipped, 0u) << joined(back.flagged, "\n");
  }
}

TEST_F(RefsAndRepositories, ARepositoryThatTheAgentMadeAPartOfTheOuterOneStaysInTheWork) {
  for (const std::string& path : {repo + "/n", root + "/lib"}) make_inner(path);
  git("submodule --quiet add " + root + "/lib lib");
  git("commit -qm submodule");
  for (auto mode : {WorkspaceMode::copy, WorkspaceMode::clone})
    for (const auto& [command, files] :
         {std::pair<std::string, std::string>(
              "rm -rf n/.git && git rm -q --cached lib && rm -rf lib/.git && git add n lib && ", "lib/v.txt\nn/v.txt"),
          {"rm -rf n && mkdir n && echo w >n/w && git add n && ", "n/w"}}) {
      auto back = after(mode, command + commit_ + "-m absorbed");
      ASSERT_EQ(git("diff --name-only main refs/bottle/s1/heads/main -- n/* lib/*"), files) << command;
      EXPECT_EQ(git("diff --name-status refs/bottle/s1/heads/main refs/bottle/s1/worktree"), "") << back.text;
    }
}

// Such a repository was cloned again or replaced meanwhile.
TEST_F(RefsAndRepositories, ARepositoryBelowThatLostItsCommitDoesNotStopTheOthers) {
  make_inner(repo + "/sub");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  put(inside + "/a.txt", "top\n");
  put(inside + "/sub/v.txt", "agent's\n");
  git("commit -qam in-sub", inside + "/sub");
  fs::remove_all(repo + "/sub/.git");
  git("init -q", repo + "/sub");
  git("commit -q --allow-empty -m other", repo + "/sub");
  auto back = come_home(sent.base);
  EXPECT_EQ(git("diff --name-only HEAD refs/bottle/s1/worktree"), "a.txt");
  ASSERT_EQ(back.below.size(), 1u) << back.text;
  EXPECT_NE(*read_file(back.below[0].patch), "");
  EXPECT_EQ(refs(repo + "/sub"), "");
  EXPECT_TRUE(flagged(back, "in sub: the repository: it can no longer be read: the repository " + repo +
                                "/sub no longer has the commit"));
  EXPECT_TRUE(back.is_incomplete) << "the commits are only in the archive";
}

TEST_F(RefsAndRepositories, ARepositoryBelowWithUnreadableRefsDoesNotStopTheOthers) {
  make_inner(repo + "/sub");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  put(inside + "/a.txt", "top\n");
  ASSERT_EQ(::mkfifo((repo + "/sub/.git/packed-refs").c_str(), 0600), 0);
  auto back = come_home(sent.base);
  EXPECT_EQ(git("diff --name-only HEAD refs/bottle/s1/worktree"), "a.txt");
  EXPECT_TRUE(flagged(back, "in sub: the repository: it can no longer be read: "));
}

TEST_F(RefsAndRepositories, ARepositoryThatTheOperatorMovedAwayIsNotCalledTheAgents) {
  make_inner(repo + "/sub");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  git("commit -q --allow-empty -m in-sub", inside + "/sub");
  fs::rename(repo + "/sub", root + "/moved");
  auto back = come_home(sent.base);
  EXPECT_TRUE(flagged(back, "in sub: .git: not brought home, because your repository can no longer be read"));
  EXPECT_FALSE(flagged(back, "the agent made this repository"));
  EXPECT_TRUE(back.is_incomplete);
}

TEST_F(RefsAndRepositories, SubmodulesAreSentAndComeBack) {
  make_inner(root + "/lib");
  git("submodule --quiet add " + root + "/lib lib");
  git("submodule --quiet add " + root + "/lib absent");
  git("commit -qm submodules");
  git("submodule --quiet deinit -f absent");
  put(repo + "/.git/modules/lib/hooks/pre-commit",
      "#!/bin/sh\nmake lint\n");  // the operator's own hook is not reported
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    auto sent = pack(mode);
    if (mode == WorkspaceMode::clone)
      EXPECT_NE(joined(sent.warnings, "\n").find("the submodule absent was not sent"), std::string::npos);
    unpack();
    EXPECT_EQ(git("status --porcelain", inside), "");
    EXPECT_EQ(come_home(sent.base).text, "Nothing changed in the workspace.\n");
    EXPECT_EQ(*read_file(inside + "/lib/v.txt"), "v\n");
    put(inside + "/lib/v.txt", "committed\n");
    git("commit -qam in-lib", inside + "/lib");
    put(inside + "/lib/loose.txt", "loose\n");
    put(inside + "/top.txt", "top\n");
    auto back = come_home(sent.base);
    ASSERT_EQ(back.below.size(), 1u) << back.text;
    EXPECT_EQ(git("show refs/bottle/s1/worktree:v.txt refs/bottle/s1/worktree:loose.txt", repo + "/lib"),
              "committed\nloose");
    EXPECT_EQ(git("diff --name-only HEAD refs/bottle/s1/worktree"), "lib\ntop.txt");
    EXPECT_EQ(git("rev-parse refs/bottle/s1/worktree:lib"), git("rev-parse HEAD", inside + "/lib"));
    EXPECT_EQ(back.skipped, 0u) << joined(back.flagged, "\n");
    EXPECT_FALSE(flagged(back, "hook"));
  }
}

TEST_F(RefsAndRepositories, WorkTreesOfOneRepositoryDoNotShareRefs) {
  fs::create_directories(root + "/project");
  sh("git clone -q --bare " + repo + " " + root + "/project/.bare && printf 'gitdir: ./.bare\\n' >" + root +
     "/project/.git");
  for (const char* name : {"one", "two"})
    sh("git -C " + root + "/project/.bare worktree add -q -b " + name + " ../" + name);
  auto sent = pack(WorkspaceMode::clone, root + "/project");
  unpack();
  for (const char* name : {"one", "two"}) put(inside + "/" + name + "/a.txt", "in " + std::string(name) + "\n");
  auto back = come_home(sent.base, root + "/project");
  ASSERT_EQ(back.below.size(), 2u) << back.text;
  EXPECT_EQ(
      git("show refs/bottle/s1/in/one/worktree:a.txt refs/bottle/s1/in/two/worktree:a.txt", root + "/project/one"),
      "in one\nin two");
}

TEST_F(RefsAndRepositories, ABundleHoldsWhatALockedRepositoryDoesNotTake) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  put(inside + "/a.txt", "committed\n");
  git("commit -qam one", inside);
  put(inside + "/a.txt", "loose\n");
  put(repo + "/.git/refs/bottle", "in the way");
  auto back = come_home(sent.base);
  EXPECT_NE(back.bundle, "");
  EXPECT_NE(back.text.find("Not all of the work could be written to the repository"), std::string::npos) << back.text;
  EXPECT_NE(back.patch, "");
  fs::remove(repo + "/.git/refs/bottle");
  size_t at = back.text.find("git fetch "), end = back.text.find('\n', at);
  ASSERT_NE(at, std::string::npos);
  sh("cd " + repo + " && " + back.text.substr(at, end - at));
  EXPECT_EQ(git("show refs/bottle/s1/heads/main:a.txt refs/bottle/s1/worktree:a.txt"), "committed\nloose");
}

// git leaves out of a bundle what it excludes to keep the bundle small, and only warns.
TEST_F(RefsAndRepositories, BranchesThatABundleOmitsAreReported) {
  git("commit -q --allow-empty -m second");
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  put(repo + "/.git/refs/bottle", "in the way");
  git("branch old HEAD~1", inside);
  git("branch same", inside);
  std::string old = git("rev-parse HEAD~1");
  for (bool alone : {true, false}) {
    if (!alone) git("commit -q --allow-empty -m new", inside);
    auto back = come_home(sent.base);
    EXPECT_EQ(back.bundle.empty(), alone) << back.text;
    EXPECT_TRUE(
        flagged(back, "refs/bottle/s1/heads/old: it is in no bundle, because your repository has its commit " + old));
    EXPECT_TRUE(flagged(back, "refs/bottle/s1/heads/same: it is in no bundle"));
    EXPECT_FALSE(flagged(back, "could not be kept"));
    EXPECT_EQ(back.skipped, 2u);
    EXPECT_TRUE(back.is_incomplete);
  }
}

// In such a directory, `git apply` exits with 0 and does nothing.
TEST_F(RefsAndRepositories, ADirectoryInsideAnotherRepositoryIsNotPatchedByGit) {
  put(repo + "/below/x.txt", "x\n");
  auto sent = pack(WorkspaceMode::copy, repo + "/below");
  unpack();
  put(inside + "/x.txt", "changed\n");
  auto back = take_inside("", repo + "/below");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->text.find(" apply /"), std::string::npos) << back->text;
  size_t at = back->text.find("cp -Ri ");
  ASSERT_NE(at, std::string::npos) << back->text;
  put(repo + "/below/x.txt", "the operator's\n");
  sh("yes n | " + back->text.substr(at, back->text.find('\n', at) - at) + " || true");
  EXPECT_EQ(*read_file(repo + "/below/x.txt"), "the operator's\n");
  sh("yes | " + back->text.substr(at, back->text.find('\n', at) - at));
  EXPECT_EQ(*read_file(repo + "/below/x.txt"), "changed\n");
}

TEST_F(RefsAndRepositories, AHistoryThatWasRewrittenIsNotMerged) {
  put(repo + "/a.txt", "second\n");
  git("commit -qam second");
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  put(inside + "/a.txt", "amended\n");
  git("commit -q --amend -am amended", inside);
  auto back = come_home(sent.base);
  EXPECT_EQ(back.text.find("git merge"), std::string::npos) << back.text;
  EXPECT_NE(back.text.find("git branch bottle-s1 refs/bottle/s1/worktree"), std::string::npos) << back.text;
  git("apply " + back.patch);
  EXPECT_EQ(*read_file(repo + "/a.txt"), "amended\n");
}

TEST_F(RefsAndRepositories, TheUpstreamBranchIsSentUnderItsName) {
  sh("git clone -q " + repo + " " + root + "/mine");
  put(root + "/mine/b.txt", "b\n");
  git("add -A", root + "/mine");
  git("commit -qm ahead", root + "/mine");
  pack(WorkspaceMode::clone, root + "/mine");
  unpack();
  EXPECT_EQ(git("diff --name-only origin/main...HEAD", inside), "b.txt");
  EXPECT_EQ(git("rev-parse --abbrev-ref @{upstream}", inside), "origin/main");
  EXPECT_EQ(git("remote", inside), "");
}

TEST_F(RefsAndRepositories, ChosenFilesAreSentAndComeBackOnRequest) {
  put(repo + "/.gitignore", ".env\n*.local\n");
  git("add -A");
  git("commit -qm ignore");
  put(repo + "/.env", "A=1\n");
  put(repo + "/config/db.local", "db\n");
  put(repo + "/other.local", "other\n");
  archive.clear();
  auto sent = send({.mode = WorkspaceMode::clone,
                    .source = repo,
                    .scratch = root + "/scratch",
                    .record = root + "/sent",
                    .start = "dir/not-there",
                    .include = {".env", "config/*.local"},
                    .keep = {".env"}},
                   git::read_operators_configuration(), sink_to(archive));
  ASSERT_TRUE(sent) << sent.error().what;
  unpack();
  EXPECT_EQ(sh("cd " + inside + " && cat .env config/db.local && ls -d dir/not-there"), "A=1\ndb\ndir/not-there");
  EXPECT_FALSE(fs::exists(inside + "/other.local"));
  EXPECT_EQ(come_home(sent->base).text, "Nothing changed in the workspace.\n");
  put(inside + "/.env", "A=2\n");
  put(inside + "/a.txt", "changed\n");
  auto back = come_home(sent->base);
  EXPECT_EQ(git("diff --name-only HEAD refs/bottle/s1/worktree"), "a.txt");
  EXPECT_EQ(*read_file(root + "/results/s1/kept/.env"), "A=2\n");
  // The operator started in a subdirectory, where `git apply` alone would do nothing.
  EXPECT_NE(back.text.find("git -C " + repo + " apply"), std::string::npos) << back.text;
}

// A checkpoint may have brought it before.
TEST_F(RefsAndRepositories, ChangesThatTheAgentUndidLeaveThePatch) {
  std::string results = root + "/results/s1/", text = *read_file(repo + "/a.txt");
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  put(inside + "/a.txt", "changed\n");
  EXPECT_EQ(come_home(sent.base).patch, results + "changes.patch");
  put(inside + "/a.txt", text);
  EXPECT_EQ(come_home(sent.base).patch, "");
  EXPECT_FALSE(fs::exists(results + "changes.patch"));
  auto listed = wire::decode_repositories(*read_file(results + "places.json"));
  ASSERT_TRUE(listed) << listed.error().what;
  ASSERT_EQ(listed->repositories.size(), 1u) << "`bottle discard` removes the refs of these repositories";
  EXPECT_EQ(listed->repositories[0].directory, repo);
  EXPECT_EQ(listed->repositories[0].patch, "");
}

TEST_F(RefsAndRepositories, APatchIsAppliedWholeOrNotAtAll) {
  put(root + "/p", "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n");
  put(root + "/q", "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-other\n+two\n");
  auto clash = apply({{repo, root + "/p"}, {repo, root + "/q"}}, root + "/scratch");
  ASSERT_FALSE(clash);
  EXPECT_EQ(clash.error().code, Code::conflict);
  EXPECT_EQ(*read_file(repo + "/a.txt"), "one\n");
  configure("filter.x.clean", "touch " + root + "/ran; cat");
  put(repo + "/.gitattributes", "* filter=x\n");
  auto applied = apply({{repo, root + "/p"}}, root + "/scratch");
  ASSERT_TRUE(applied) << applied.error().what;
  EXPECT_EQ(*read_file(repo + "/a.txt"), "two\n");
  EXPECT_FALSE(fs::exists(root + "/ran"));
}

TEST_F(RefsAndRepositories, RefsOfTheAgentBelowOurOwnNameComeHome) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  sh("cd " + inside + " && git -c user.name=a -c user.email=a@b commit-tree -m x HEAD^{tree} | " +
     "xargs git update-ref refs/bottle/mine");
  auto back = come_home(sent.base);
  EXPECT_EQ(refs(), "refs/bottle/s1/other/bottle/mine") << back.text;
}

TEST_F(RefsAndRepositories, BranchesThatDifferOnlyInCaseDoNotReplaceEachOther) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  sh("cd " + inside + " && for b in fix Fix FIX; do git branch $b $(git -c user.name=a -c user.email=a@b commit-tree " +
     "-m $b HEAD^{tree}); done");
  configure("core.ignorecase", "true");  // git sets this where the file system ignores case
  auto back = come_home(sent.base);
  std::string names = lower(refs());
  std::set<std::string_view> lines;
  for (std::string_view line : each_line(names)) lines.insert(line);
  EXPECT_EQ(lines.size(), 3U) << names;
  EXPECT_NE(names.find("encoded/heads/fix=="), std::string::npos) << names;
  EXPECT_NE(back.text.find("refs/heads/"), std::string::npos) << back.text;
  EXPECT_EQ(git("for-each-ref '--format=%(contents:subject)' --sort=contents:subject refs/bottle"), "FIX\nFix\nfix");
}

TEST(RefNames, CannotBeMistakenForOptionsOrPatterns) {
  EXPECT_EQ(name_for("refs/heads/a/b"), "heads/a/b");
  EXPECT_EQ(name_for("refs/tags/v1"), "tags/v1");
  EXPECT_EQ(name_for("refs/remotes/o/x"), "other/remotes/o/x");
  EXPECT_EQ(name_for("refs/heads/-dash/x"), "encoded/heads/=2Ddash/x");
  EXPECT_NE(name_for("refs/heads/" + std::string(300, 'a') + "1"),
            name_for("refs/heads/" + std::string(300, 'a') + "2"));
  for (const char* name : {"refs/heads/a;rm -rf", "refs/heads/$(x)", "refs/heads/a\x01", "refs/stash"})
    EXPECT_TRUE(git::is_ref_name("refs/bottle/s/" + name_for(name))) << name;
}

}  // namespace
}  // namespace bottle::workspace
