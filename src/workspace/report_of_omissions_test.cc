// Tests that the report on the agent's work is true: it names what was not taken, and it says "nothing changed" only
// if nothing did.
#include <cstdio>

#include "base/stream.h"
#include "wire/repositories/repositories.h"
#include "workspace/agent_work_test.h"
#include "workspace/quarantine/ref_files.h"
#include "workspace/receiving/take.h"
#include "workspace/sending/below.h"

namespace bottle::workspace {
namespace {

using manifest::WorkspaceMode;

class Omissions : public AgentWork {};

TEST_F(Omissions, TheFirstCommitsOfARepositoryComeBack) {
  for (const std::string& place : {std::string(), std::string("sub")}) {
    std::string at = root + "/unborn" + place, where = place.empty() ? at : at + "/" + place;
    fs::create_directories(where);
    git("init -q -b main", where);
    put(where + "/a.txt", "a\n");
    git("add a.txt", where);
    auto sent = pack(WorkspaceMode::clone, at);
    EXPECT_EQ(sent.base, "");
    unpack();
    std::string there = place.empty() ? inside : inside + "/" + place;
    EXPECT_EQ(git("diff --cached --name-only", there), "a.txt") << "what the operator staged is staged";
    put(there + "/b.txt", "b\n");
    sh("cd " + there + " && git add -A && " + commit_ + "-m first");
    put(there + "/b.txt", "more\n");
    auto back = come_home("", at);
    EXPECT_EQ(back.commits, 1u) << back.text;
    EXPECT_EQ(git("log -1 --format=%s refs/bottle/s1/heads/main", where), "first") << back.text;
    EXPECT_EQ(git("log --format=%s refs/bottle/s1/worktree", where), "What session s1 left in its workspace\nfirst");
    EXPECT_EQ(git("ls-tree --name-only refs/bottle/s1/worktree", where), "a.txt\nb.txt");
    EXPECT_TRUE(says(back, "no commit that this could be merged into")) << back.text;
  }
}

TEST_F(Omissions, WithoutACommitOfTheAgentBottleMakesNone) {
  std::string at = root + "/unborn";
  fs::create_directories(at);
  git("init -q -b main", at);
  put(at + "/a.txt", "a\n");
  pack(WorkspaceMode::copy, at);
  unpack();
  put(inside + "/b.txt", "b\n");
  auto back = come_home("", at);
  EXPECT_EQ(git("log --format=%s refs/bottle/s1/worktree", at), "What session s1 left in its workspace") << back.text;
  EXPECT_EQ(git("ls-tree --name-only refs/bottle/s1/worktree", at), "b.txt");
}

TEST_F(Omissions, ARepositoryThatTheAgentMadeIsNamed) {
  fs::remove_all(repo + "/.git");
  auto back = after(WorkspaceMode::copy, "git init -q && git add -A && " + commit_ + "-m one");
  EXPECT_TRUE(back.is_incomplete) << back.text;
  EXPECT_TRUE(flagged(back, ".git: not brought home, because the agent made this repository"));
  EXPECT_EQ(back.skipped, 1u) << "it counts once";
}

TEST_F(Omissions, CommitsOnNoBranchComeBack) {
  auto back = after(WorkspaceMode::copy, "git checkout -q --detach && echo 1 > 1 && git add -A && " + commit_ +
                                             "-m left && git checkout -q main && git worktree add -q --detach ../other "
                                             "&& cd ../other && " +
                                             commit_ + "--allow-empty -m elsewhere");
  EXPECT_EQ(back.commits, 2u) << back.text;
  std::string all = git("for-each-ref '--format=%(contents:subject)' refs/bottle/s1/heads");
  EXPECT_NE(all.find("left"), std::string::npos) << all;
  EXPECT_NE(all.find("elsewhere"), std::string::npos) << all;
}

// A checkpoint brings such a commit while it is checked out. The operator's repository has its objects from then on.
TEST_F(Omissions, CommitsOnNoBranchStayAfterTheNextCheckpoint) {
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  sh("cd " + inside + " && git checkout -q --detach && " + commit_ + "--allow-empty -m left");
  come_home(sent.base);
  std::string left = git("rev-parse HEAD", inside),
              heads = "for-each-ref '--format=%(refname:lstrip=4)' refs/bottle/s1/heads";
  sh("cd " + inside + " && git checkout -q main");
  for (int i = 0; i < 2; ++i) {
    auto back = come_home(sent.base);
    EXPECT_EQ(git(heads), "bottle-detached-" + left.substr(0, 12)) << back.text;
    EXPECT_EQ(back.commits, 1u) << back.text;
  }
  // A branch at the first commit makes that commit one of the session's refs, but not the agent's.
  sh("cd " + inside + " && git branch b " + sent.base + " && git checkout -q --detach " + sent.base +
     " && git checkout -q main");
  for (int i = 0; i < 2; ++i) {
    come_home(sent.base);
    EXPECT_EQ(git(heads), "b\nbottle-detached-" + left.substr(0, 12));
  }
}

// An agent can write logs of any length.
TEST_F(Omissions, OfManyCheckedOutCommitsTheNewestAreTaken) {
  auto id_of = [](int number) {
    char id[41];
    std::snprintf(id, sizeof id, "%040x", static_cast<unsigned>(number));
    return std::string(id);
  };
  Quarantine q;
  RefFiles ref_files(q);
  std::string log, none(40, '0');
  for (int i = 0; log.size() < 9 << 20; ++i)
    log += id_of(i) + " " + none + " a <a@b> 1 +0000\tcheckout: moving from " + id_of(i) + " to main\n";
  log += id_of(1 << 30) + " " + none + " a <a@b> 1 +0000\tcheckout: moving from " + id_of(1 << 30) + " to main\n";
  ASSERT_TRUE(ref_files.take("logs/HEAD", source_of(log)));
  for (int i = 0; i < 1999; ++i) {
    std::string head = id_of(i) + "\n";
    ASSERT_TRUE(ref_files.take("worktrees/" + std::to_string(i) + "/HEAD", source_of(head)));
  }
  ref_files.end();
  ASSERT_EQ(q.detached.size(), 2000u);
  EXPECT_EQ(q.detached[0], id_of(1 << 30)) << "the end of a long log is read";
  EXPECT_EQ(q.detached.back(), id_of(1998));
}

TEST_F(Omissions, CommitsOfTheOperatorAreNotBroughtAgain) {
  git("checkout -q --detach");
  git("commit -q --allow-empty -m mine");
  git("checkout -q main");
  auto back = after(WorkspaceMode::copy, "git checkout -q --detach && git checkout -q -");
  EXPECT_TRUE(says(back, "Nothing changed")) << back.text;
}

TEST_F(Omissions, AnAmendedCommitCountsOnce) {
  auto back = after(WorkspaceMode::clone, "git checkout -q --detach && " + commit_ +
                                              "--allow-empty -m one && git branch b && " +
                                              "git checkout -q b && git checkout -q main");
  EXPECT_EQ(refs(), "refs/bottle/s1/heads/b") << back.text;
}

TEST_F(Omissions, ABranchWithoutACommitIsNamed) {
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    auto back = after(mode, "git checkout -q -b feature");
    EXPECT_EQ(refs(), "refs/bottle/s1/heads/feature") << back.text;
    EXPECT_FALSE(says(back, "Nothing changed")) << back.text;
  }
}

TEST_F(Omissions, TheOnlyBranchCanBeMerged) {
  auto back = after(WorkspaceMode::clone,
                    "git checkout -q -b feature && " + commit_ + "--allow-empty -m one && git checkout -q main");
  EXPECT_TRUE(says(back, "Take it: git merge refs/bottle/s1/heads/feature\n")) << back.text;
  EXPECT_TRUE(says(back, "See it:  git diff ")) << back.text;
}

TEST_F(Omissions, RefsThatTheAgentRemovedAreNamed) {
  git("branch old");
  git("tag v1");
  git("symbolic-ref refs/heads/alias refs/heads/main");
  auto back = after(WorkspaceMode::copy, "git branch -D old && git tag -d v1");
  EXPECT_TRUE(says(back, "unchanged: refs/heads/old, refs/tags/v1\n")) << back.text;
  EXPECT_FALSE(says(back, "Nothing changed")) << back.text;
  EXPECT_EQ(git("rev-parse old"), git("rev-parse main"));
  // A work tree that is linked to another one goes with fewer refs.
  git("worktree add -q " + root + "/linked");
  auto sent = pack(WorkspaceMode::copy, root + "/linked");
  unpack();
  back = come_home(sent.base, root + "/linked");
  EXPECT_TRUE(says(back, "Nothing changed")) << back.text;
}

// A checkpoint brings the change.
TEST_F(Omissions, ChangesThatTheAgentUndidHaveNoRef) {
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  sh("cd " + inside + " && echo new > new.txt");
  come_home(sent.base);
  ASSERT_EQ(refs(), "refs/bottle/s1/worktree");
  fs::remove(inside + "/new.txt");
  auto back = come_home(sent.base);
  EXPECT_TRUE(says(back, "Nothing changed")) << back.text;
  EXPECT_EQ(refs(), "");
}

TEST_F(Omissions, UnreadableRefsAreNotReportedAsRemoved) {
  git("branch old");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  sh("cd " + inside + " && " + commit_ + "--allow-empty -m one");
  come_home(sent.base);
  std::string many =
                  "git pack-refs --all && seq -f \"$(git rev-parse HEAD) refs/tags/t%06g\" 100001 >> .git/packed-refs",
              table = "rm -r .git/packed-refs .git/refs/* && mkdir .git/reftable && touch .git/reftable/tables.list";
  for (const auto& [command, file] : {std::pair(many, ".git/packed-refs: "), {table, ".git/reftable: "}}) {
    sh("cd " + inside + " && " + command);
    auto back = come_home(sent.base);
    EXPECT_TRUE(flagged(back, file + std::string("not brought home")));
    EXPECT_FALSE(says(back, "The agent removed refs")) << back.text;
    EXPECT_EQ(git("log -1 --format=%s refs/bottle/s1/heads/main"), "one") << "what came before stays";
  }
}

TEST_F(Omissions, ChangedSettingsOfGitAreNamed) {
  configure("remote.origin.url", "https://me:token@example.org/x");
  make_inner(repo + "/inner");
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    EXPECT_TRUE(says(after(mode, "git status"), "Nothing changed"));
    auto back = after(mode, "git config alias.x y && git -C inner config alias.x y");
    EXPECT_TRUE(says(back, "Yours are unchanged: .git/config, inner/.git/config\n")) << back.text;
    EXPECT_FALSE(says(back, "Nothing changed")) << back.text;
  }
}

TEST_F(Omissions, OfManyStashesTheNewestComeBack) {
  auto back =
      after(WorkspaceMode::clone,
            commit_ + "--allow-empty -m old && git stash store -m old HEAD && " + commit_ +
                "--allow-empty -m new && git stash store -m new HEAD && old=$(head -1 .git/logs/refs/stash) && "
                "new=$(tail -1 .git/logs/refs/stash) && for i in $(seq 105); do [ $i -gt 5 ] && echo \"$new\" || "
                "echo \"$old\"; done > .git/logs/refs/stash");
  EXPECT_EQ(git("log -1 --format=%s refs/bottle/s1/stash/0"), "new") << back.text;
  EXPECT_EQ(git("log -1 --format=%s refs/bottle/s1/stash/99"), "new");
  EXPECT_EQ(refs().find("stash/100"), std::string::npos);
  EXPECT_EQ(back.skipped, 1u);
  EXPECT_TRUE(flagged(back, "more stashes than the limit"));
}

TEST_F(Omissions, ContentThatIsOnlyStagedComesBack) {
  make_inner(repo + "/inner");
  int round = 0;
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    std::string text = "staged " + std::to_string(++round);
    auto back = after(mode, "echo " + text + " > a.txt && echo new " + text + " > n.txt && git add a.txt n.txt && " +
                                "echo one > a.txt && rm n.txt && cd inner && echo inner " + text +
                                " > v.txt && git add v.txt && echo v > v.txt");
    EXPECT_TRUE(says(back, "Some content was only staged, and is in no file and no commit: a.txt, n.txt."))
        << back.text;
    EXPECT_TRUE(says(back, " refs/bottle/s1/staged\n")) << back.text;
    EXPECT_FALSE(says(back, "Nothing changed")) << back.text;
    EXPECT_EQ(back.skipped, 0u) << joined(back.flagged, "\n");
    // The repository has the content at the second pull, but only because of the first one.
    for (int pull = 0; pull < (mode == WorkspaceMode::clone ? 2 : 1); ++pull) {
      if (pull > 0) back = come_home(git("rev-parse main"));
      ASSERT_EQ(refs(), "refs/bottle/s1/staged") << back.text;
      EXPECT_EQ(git("show refs/bottle/s1/staged:a.txt refs/bottle/s1/staged:n.txt"), text + "\nnew " + text);
      EXPECT_EQ(git("diff --name-only main refs/bottle/s1/staged"), "a.txt\nn.txt") << "the rest is the index, too";
      EXPECT_EQ(git("show refs/bottle/s1/staged:v.txt", repo + "/inner"), "inner " + text);
    }
    git("reset -q", inside);
    git("reset -q", inside + "/inner");
    back = come_home(git("rev-parse main"));
    EXPECT_TRUE(says(back, "Nothing changed")) << back.text;
    EXPECT_EQ(refs() + refs(repo + "/inner"), "");
  }
}

TEST_F(Omissions, StagedContentThatIsAlsoElsewhereIsNotMentioned) {
  put(repo + "/.gitattributes", "*.f filter=up\n*.crlf text\n");
  put(repo + "/.gitignore", "*.log\n");
  put(repo + "/t.f", "ABC\n");
  git("add -A");
  git("commit -qm rules");
  configure("filter.up.clean", "tr a-z A-Z");
  put(repo + "/mine.crlf", "mine\r\n");
  put(repo + "/a.txt", "mine\n");
  git("add a.txt");
  put(repo + "/a.txt", "mine, too\n");
  // Cases that do not affect each other share a run. A clone has nothing that the first one could add.
  const std::string first = "git add -A";
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy})
    for (const std::string& command : std::vector<std::string>{
             first,
             "echo n > n && git add n && git rm -q --cached t.f && echo i > i && git add -N i && rm i && "
             "git mv dir/b.txt c.txt && echo x > x.log && git add -f x.log && printf 'two\\r\\n' > two.crlf && "
             "git add two.crlf",
             "echo c > c && git add c && git -c user.name=a -c user.email=a@b commit -qm c && rm c && "
             "git rm -q --cached c && echo abc more >> t.f && git add t.f && git update-index --index-version 4 && "
             "echo 4 > a.txt && git add a.txt",
             "touch e && git add e && git checkout -q -b other && chmod +x e"}) {
      if (mode == WorkspaceMode::clone && command == first) continue;
      auto back = after(mode, command);
      EXPECT_FALSE(says(back, "staged")) << command << "\n" << back.text;
      EXPECT_EQ(refs().find("staged"), std::string::npos) << command << "\n" << refs();
      EXPECT_FALSE(flagged(back, "staged")) << command;
    }
}

TEST_F(Omissions, TheVersionsOfAnUnresolvedMergeComeBack) {
  int round = 0;
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    std::string text = "theirs " + std::to_string(++round);
    auto back =
        after(mode, "id=$(echo " + text + " | git hash-object -w --stdin) && printf '0 %040d\\ta.txt\\n100644 " +
                        "%s 3\\ta.txt\\n' 0 $id | git update-index --index-info");
    ASSERT_EQ(refs(), "refs/bottle/s1/staged") << back.text;
    EXPECT_EQ(git("show refs/bottle/s1/staged:a.txt~theirs refs/bottle/s1/staged:a.txt"), text + "\none");
  }
}

TEST_F(Omissions, StagedContentOfAnotherWorkTreeComesBack) {
  const std::vector<std::string> names = {"wt", "sharedindex.wt"};
  std::string command = "top=$PWD";
  for (const auto& name : names)
    command += " && cd $top && git worktree add -q --detach " + name + " && cd " + name + " && echo in " + name +
               " > a.txt && git add a.txt && echo one > a.txt";
  auto back = after(WorkspaceMode::clone, command);
  for (const auto& name : names) {
    EXPECT_EQ(git("show refs/bottle/s1/staged-" + name + ":a.txt"), "in " + name) << back.text;
    EXPECT_TRUE(says(back, "To see what the work tree " + name + " had staged:\n")) << back.text;
  }
}

TEST_F(Omissions, StagedContentAtAPathOfGitIsOnlyNamed) {
  // git does not add such a path, but it does not check the paths of an index that it reads.
  auto back =
      after(WorkspaceMode::clone, "mkdir xgit && echo a > xgit/hook && echo b > n.txt && git add -A && " +
                                      std::string("sed -i s,xgit/hook,.git/hook, .git/index && rm -r xgit n.txt"));
  EXPECT_TRUE(flagged(back, ".git/hook: it is only staged"));
  EXPECT_TRUE(back.is_incomplete) << back.text;
  EXPECT_EQ(git("diff --name-status main refs/bottle/s1/staged"), "A\tn.txt") << back.text;
}

TEST_F(Omissions, StagedContentIsInTheBundleOfALockedRepository) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  sh("cd " + inside + " && echo staged > a.txt && git add a.txt && echo one > a.txt");
  put(repo + "/.git/refs/bottle", "in the way");
  auto back = come_home(sent.base);
  fs::remove(repo + "/.git/refs/bottle");
  ASSERT_NE(back.bundle, "") << back.text;
  git("fetch -q " + back.bundle + " 'refs/bottle/*:refs/bottle/*'");
  EXPECT_EQ(git("show refs/bottle/s1/staged:a.txt"), "staged");
}

TEST_F(Omissions, AnIndexThatCannotBeReadIsNamed) {
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy})
    for (const std::string command :
         {"echo rubbish > .git/index", "git update-index --split-index && rm .git/shared*"}) {
      auto back = after(mode, "echo more > n.txt && " + command);
      EXPECT_TRUE(flagged(back, ".git/index: what is only staged was not brought home"));
      EXPECT_TRUE(back.is_incomplete) << back.text;
      EXPECT_EQ(back.files, 1u) << back.text;
    }
  git("update-index --split-index");  // the operator's own
  auto back = after(WorkspaceMode::copy, "true");
  EXPECT_TRUE(says(back, "Nothing changed")) << back.text << joined(back.flagged, "\n");
}

TEST_F(Omissions, StagedContentUnderAFilterIsOnlyNamed) {
  configure("filter.up.clean", "tr a-z A-Z");
  put(repo + "/.gitattributes", "*.f filter=up\n");
  put(repo + "/t.f", "ABC\n");
  git("add -A");
  git("commit -qm filtered");
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    auto back = after(mode, "echo first > t.f && git add t.f && echo and another > t.f");
    EXPECT_TRUE(flagged(back, "t.f: it is only staged"));
    EXPECT_TRUE(back.is_incomplete) << back.text;
    EXPECT_EQ(refs().find("staged"), std::string::npos) << refs();
  }
}

TEST_F(Omissions, EmptyDirectoriesAreNamed) {
  put(repo + "/.gitignore", "cache/\n");
  git("add -A");
  git("commit -qm ignore");
  fs::create_directories(repo + "/mine");
  auto back = after(WorkspaceMode::copy, "mkdir -p a/b cache/c full && touch full/f && rm a.txt");
  EXPECT_TRUE(says(back, "can hold: a/b/\n")) << back.text;
  fs::remove_all(repo + "/.git");
  back = after(WorkspaceMode::copy, "mkdir d");
  EXPECT_TRUE(says(back, "can hold: d/\n")) << back.text;
  EXPECT_FALSE(says(back, "Nothing changed")) << back.text;
}

TEST_F(Omissions, SpecialFilesAreReportedOnce) {
  auto back = after(WorkspaceMode::copy, "mkfifo pipe");
  EXPECT_EQ(back.skipped, 1u) << joined(back.flagged, "\n");
}

TEST_F(Omissions, TheModeOfAFileUnderAFilterChanges) {
  configure("filter.up.clean", "tr a-z A-Z");
  configure("filter.up.smudge", "tr A-Z a-z");
  put(repo + "/.gitattributes", "*.f filter=up\n");
  put(repo + "/t.f", "abc\n");
  put(repo + "/u.f", "abc\n");
  git("add -A");
  git("commit -qm filtered");
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    auto back = after(mode, "chmod +x t.f");
    EXPECT_EQ(back.files, 1u) << back.text;
    EXPECT_EQ(
        git("diff --raw --abbrev=7 main refs/bottle/s1/worktree").substr(0, 32),
        ":100644 100755 " + git("rev-parse --short=7 main:t.f") + " " + git("rev-parse --short=7 main:t.f") + " M")
        << back.text;
    EXPECT_FALSE(says(back, "git's filter")) << back.text;
  }
  // Where the content changed, too, the command that copies it sets the mode.
  auto back = after(WorkspaceMode::copy, "echo more >> u.f && chmod +x u.f");
  EXPECT_TRUE(says(back, " && chmod +x " + repo + "/u.f\n")) << back.text;
}

TEST_F(Omissions, FilesThatCpCannotCopyAreNamed) {
  fs::remove_all(repo + "/.git");
  put(repo + "/run.sh", "x\n");
  auto back = after(WorkspaceMode::copy, "chmod +x run.sh && ln -s run.sh link && rm a.txt");
  EXPECT_TRUE(says(back, " && chmod +x " + repo + "/run.sh\n")) << back.text;
  EXPECT_TRUE(says(back, "are in the patch only: a.txt, link\n")) << back.text;
}

// Neither a shell nor a person can take advice of any length.
TEST_F(Omissions, AnAgentCannotMakeTheAdviceLong) {
  fs::remove_all(repo + "/.git");
  fs::create_directories(repo + "/d");
  constexpr size_t kFiles = 1000;  // their names take twice the text that is allowed
  for (size_t i = 0; i < kFiles; ++i) put(repo + "/d/" + std::to_string(i), "x\n");
  auto back = after(WorkspaceMode::copy, "chmod -R +x d");
  EXPECT_EQ(back.files, kFiles);
  EXPECT_LT(back.text.size(), 4096u);
  EXPECT_TRUE(says(back, "because more than 50 of them replace a link or change a mode")) << back.text.substr(0, 4096);
  EXPECT_TRUE(says(back, "bottle apply s1") || says(back, " apply ")) << back.text.substr(0, 4096);
}

TEST_F(Omissions, PartsOfASubmoduleThatStayAreReported) {
  make_inner(root + "/source");
  git("-c protocol.file.allow=always submodule --quiet add " + root + "/source lib");
  git("commit -qm lib");
  put(repo + "/lib/v.txt", "mine\n");
  auto warnings = joined(pack(WorkspaceMode::clone).warnings, "\n");
  EXPECT_NE(warnings.find("the submodule lib: uncommitted changes were not sent"), std::string::npos) << warnings;
  git("commit -qam mine", repo + "/lib");
  warnings = joined(pack(WorkspaceMode::clone).warnings, "\n");
  EXPECT_NE(warnings.find("which is checked out here"), std::string::npos) << warnings;
}

TEST_F(Omissions, RepositoriesAreFoundAtAnyDepth) {
  make_inner(repo + "/a");
  make_inner(repo + "/a/b/c/d/e/f");
  put(repo + "/.gitignore", "a/\n");
  auto back = after(WorkspaceMode::clone, "echo more >> a/b/c/d/e/f/v.txt");
  EXPECT_EQ(refs(repo + "/a/b/c/d/e/f"), "refs/bottle/s1/worktree") << back.text;
  EXPECT_EQ(refs(repo + "/a"), "") << back.text;
  for (int i = 0; i < 300; ++i) fs::create_directories(repo + "/n" + std::to_string(i) + "/.git");
  auto found = repositories_below(repo);
  EXPECT_EQ(found.paths.size(), 200u);
  EXPECT_FALSE(found.is_complete);
}

// Package managers make hard links. For a link to an unchanged file, the quarantine contains no file.
TEST_F(Omissions, AnIgnoredHardLinkToAnUnchangedFileIsNamedOrKept) {
  put(repo + "/.gitignore", "ign\n");
  put(repo + "/run.sh", "#!/bin/sh\n");
  sh("cd " + repo + " && chmod +x run.sh && git add -A && " + commit_ + "-m rules");
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    limits.keep_ignored = mode == WorkspaceMode::copy;
    auto back = after(mode, "mkdir ign zz && ln a.txt ign/b && ln run.sh ign/run.sh && ln a.txt zz/b");
    EXPECT_EQ(git("diff --name-status HEAD refs/bottle/s1/worktree"), "A\tzz/b");
    EXPECT_EQ(back.files, 1u);
    EXPECT_EQ(joined(back.ignored, "\n"), limits.keep_ignored ? "" : "ign/") << back.text;
    if (!limits.keep_ignored) continue;
    EXPECT_EQ(*read_file(back.kept + "/ign/b"), *read_file(repo + "/a.txt"));
    EXPECT_EQ(::access((back.kept + "/ign/run.sh").c_str(), X_OK), 0);
  }
}

TEST_F(Omissions, ALongListOfRepositoriesStaysReadable) {
  constexpr int kPlaces = 22;
  std::string top = root + "/many";
  make_inner(top + "/0");
  for (int i = 1; i < kPlaces; ++i) fs::copy(top + "/0", top + "/" + std::to_string(i), fs::copy_options::recursive);
  auto sent = pack(WorkspaceMode::copy, top);
  unpack();
  const std::vector<std::string> findings = {"Makefile",  ".envrc",   ".npmrc",       ".bazelrc",
                                             "build.rs",  "setup.py", "x.sbt",        "conftest.py",
                                             "flake.nix", "mix.exs",  "Package.swift"};
  for (int i = 0; i < kPlaces; ++i) {
    put(inside + "/" + std::to_string(i) + "/v.txt", "changed\n");
    for (const auto& name : findings) put(inside + "/" + std::to_string(i) + "/" + name, "x\n");
  }
  auto back = come_home(sent.base, top);
  ASSERT_EQ(back.flagged.size(), 201u) << joined(back.flagged, "\n");
  EXPECT_EQ(back.flagged.back(), "and " + std::to_string(kPlaces * findings.size() - 200) + " more");
  auto all = read_file(back.all_flagged);
  ASSERT_TRUE(all) << all.error().what;
  for (int i = 0; i < kPlaces; ++i)
    for (const auto& name : findings)
      EXPECT_NE(("\n" + *all).find("\nin " + std::to_string(i) + ": " + name + ": "), std::string::npos) << i << name;
  EXPECT_EQ(back.below.size(), static_cast<size_t>(kPlaces));
  EXPECT_TRUE(says(back, "Changes in 2 more repositories are not listed here: `bottle diff s1`")) << back.text;
  wire::ChangedRepositories many;
  for (int i = 0; i < 20'000; ++i) many.repositories.push_back({"/a/" + std::to_string(i), "/p", ""});
  auto read = wire::decode_repositories(wire::encode(many));
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->repositories.size(), 20'000u);
}

}  // namespace
}  // namespace bottle::workspace
