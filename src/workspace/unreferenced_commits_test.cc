// Tests that work that no ref of the agent names comes home: commits in logs and in unfinished actions, and what is in
// other work trees. Also tests what is brought home in one step.
#include "workspace/receiving/unreferenced_commits.h"
#include "workspace/agent_work_test.h"

namespace bottle::workspace {
namespace {

using manifest::WorkspaceMode;

class UnreferencedCommits : public AgentWork {
 protected:
  // Returns the subjects of the commits on a session's refs of this kind.
  std::string subjects(const std::string& kind = "heads") {
    return git("for-each-ref '--format=%(contents:subject)' refs/bottle/s1/" + kind);
  }
  // Returns a commit whose parent does not exist.
  std::string broken_commit() {
    return "tree " + git("rev-parse HEAD^{tree}") + "\nparent " + std::string(40, 'b') +
           "\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nbroken\n";
  }
  std::string empty(const std::string& subject) const { return commit_ + "--allow-empty -m " + subject; }
};

TEST_F(UnreferencedCommits, CommitsThatWereTakenOffABranchComeBack) {
  const std::string start = "git tag start && " + empty("lost") + " && ";
  const std::string first = "git checkout -q -B main start";
  for (const std::string& command : std::vector<std::string>{
           first, "git switch -q -C main start", "git update-ref refs/heads/main start", "git reset -q --hard start",
           "git checkout -q --detach start && git branch -f main start && git checkout -q main",
           "git branch -q kept start && git checkout -q kept && git branch -q -D main && git branch -q main start && "
           "git "
           "checkout -q main",
           "git checkout -q --detach start && git fetch -q . +start:main && git checkout -q main",
           "git checkout -q -b other start && git checkout -q -B main start",
           // Only the log of the branch has the commit.
           "git branch f $(git -c user.name=a -c user.email=a@b commit-tree -m lost -p HEAD HEAD^{tree}) && "
           "git branch -f f start",
           "git checkout -q start && git worktree add -q --force -B main inner && rm -rf inner"}) {
    auto back = after(WorkspaceMode::copy, start + command);
    EXPECT_EQ(git("for-each-ref --format='%(contents:subject)' 'refs/bottle/s1/heads/bottle-detached-*'"), "lost")
        << command << "\n"
        << back.text;
    EXPECT_TRUE(says(back, "No branch of the agent has the commits on refs with \"bottle-detached\"")) << back.text;
    // Whatever the way was, the next pull finds the same commits on the same refs.
    if (command != first) continue;
    auto again = take_inside(git("rev-parse main"));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->text, back.text);
  }
}

TEST_F(UnreferencedCommits, CommitsThatHeadLeftForABranchWithoutCommitsComeBack) {
  for (const std::string& command :
       {empty("lost") + " && git checkout -q --orphan tmp && " + commit_ + "-m squashed && git branch -q -D main && " +
            "git branch -m main",
        "git checkout -q --detach && " + empty("lost") + " && git switch -q --orphan pages && " + empty("pages"),
        "git checkout -q --detach && " + empty("lost") + " && git switch -q --orphan pages"}) {
    auto back = after(WorkspaceMode::clone, command);
    EXPECT_EQ(git("for-each-ref --format='%(contents:subject)' 'refs/bottle/s1/heads/bottle-detached-*'"), "lost")
        << command << "\n"
        << back.text;
  }
}

TEST_F(UnreferencedCommits, CommitsThatACheckpointBroughtStayAfterTheirBranchBeginsAnew) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  sh("cd " + inside + " && " + empty("lost"));
  come_home(sent.base);
  sh("cd " + inside + " && git checkout -q --orphan tmp && " + commit_ + "-m squashed && git branch -q -D main && " +
     "git branch -m main");
  come_home(sent.base);
  EXPECT_NE(subjects().find("lost"), std::string::npos) << subjects();
}

TEST_F(UnreferencedCommits, CommitsWithANewerVersionDoNotComeBack) {
  const std::string amend = commit_ + "--amend --allow-empty -m newer";
  for (const std::string& command :
       {empty("older") + " && " + amend,
        "git checkout -q -b f && " + empty("older") + " && git checkout -q main && git checkout -q f && " + amend,
        "git checkout -q -b f && " + empty("older") + " && git checkout -q main && " + empty("other") +
            " && git -c user.name=a -c user.email=a@b rebase -q main f && git checkout -q main",
        "git checkout -q -b f && " + empty("older") +
            " && git checkout -q main && git merge -q f && git branch -q -D f"}) {
    auto back = after(WorkspaceMode::clone, command);
    EXPECT_EQ(refs().find("bottle-detached"), std::string::npos) << command << "\n" << back.text;
  }
  // A rebase puts new commits on top of others, which are not replaced.
  const std::string rebase = "git -c user.name=a -c user.email=a@b rebase -q ";
  auto rebased =
      after(WorkspaceMode::clone, "git tag start && git checkout -q -b f && " + empty("older") +
                                      " && git checkout -q main && " + empty("lost") + " && " + rebase + "main f && " +
                                      rebase + "--onto start main f && git checkout -q -B main start");
  EXPECT_EQ(subjects(), "lost\nolder") << rebased.text;
  // But a version that the agent went back to, and then left, comes back.
  // In the same second, commits with the subjects above would be the ones that have come home already.
  auto back = after(WorkspaceMode::clone, empty("first") + " && " + commit_ + "--amend --allow-empty -m second && " +
                                              "git reset -q --hard HEAD@{1} && git checkout -q -B main HEAD~1");
  for (const char* subject : {"second", "first"})
    EXPECT_NE(subjects().find(subject), std::string::npos) << subject << "\n" << back.text;
}

TEST_F(UnreferencedCommits, OnlyTheNewestCommitOfALineIsTaken) {
  // A line of twenty commits, one beside it, and many that have no parent.
  constexpr size_t kLine = 20, kAll = kLine + 1 + 4;
  std::string import;
  for (size_t i = 1; i <= kAll; ++i) {
    import += "commit refs/heads/x" + std::to_string(i) + "\nmark :" + std::to_string(i) +
              "\ncommitter a <a@b> 1 +0000\ndata 0\n";
    if (i == kLine + 1) import += "from :4\n";
    else if (i > 1 && i <= kLine) import += "from :" + std::to_string(i - 1) + "\n";
    import += "M 644 inline n\ndata <<E\n" + std::to_string(i) + "\nE\n\n";
  }
  put(root + "/import", import);
  git("fast-import --quiet --export-marks=" + root + "/marks <" + root + "/import");
  std::vector<std::string> ids(kAll);
  std::ifstream marks(root + "/marks");
  for (std::string mark, id; marks >> mark >> id;) ids.at(std::stoul(mark.substr(1)) - 1) = id;
  Quarantine q;
  q.repository = *git::Directory::make(root + "/q", {.alternates = {repo + "/.git/objects"}});
  auto runner = git::Runner::make(root);
  ASSERT_TRUE(runner);
  auto left = [&](std::vector<std::string> of, const std::vector<std::string>& reached) {
    auto found = unreferenced_commits(q, *runner, std::move(of), reached, 3);
    EXPECT_TRUE(found) << found.error().what;
    return found.value_or(std::vector<std::string>());
  };
  std::vector<std::string> line(ids.begin(), ids.begin() + kLine), alone(ids.begin() + kLine + 1, ids.end());
  std::string side = ids[kLine];
  line.insert(line.begin() + 5, {side, std::string(40, 'a')});
  EXPECT_EQ(left(line, {alone[0]}), (std::vector<std::string>{line.back(), side}));
  EXPECT_EQ(left(line, {line.back()}), std::vector<std::string>{side});
  EXPECT_EQ(left(alone, {side}), (std::vector<std::string>{alone[3], alone[2], alone[1]}));
  // A commit without its parent stops git, and is reported later.
  std::string broken = git("hash-object -t commit -w --stdin <<'E'\n" + broken_commit() + "E");
  EXPECT_EQ(left({alone[0], broken, side}, {line.back()}), (std::vector<std::string>{side, broken, alone[0]}));
  // Refs may name objects that git cannot read.
  const std::vector<std::string> bad = {std::string(40, 'c'), std::string(40, 'd')};
  put(repo + "/.git/objects/cc/" + std::string(38, 'c'), "");
  put(repo + "/.git/objects/dd/" + std::string(38, 'd'), "garbage");
  EXPECT_EQ(left(line, {bad[0], line.back(), bad[1]}), std::vector<std::string>{side});
}

TEST_F(UnreferencedCommits, WhatAnUnfinishedActionPutAsideComesBack) {
  const std::string git_ = "git -c user.name=a -c user.email=a@b ";
  const std::string conflict = "git checkout -q -b f && echo f > a.txt && " + commit_ +
                               "-am f && git checkout -q main && " + "echo m > a.txt && " + commit_ +
                               "-am m && echo aside > dir/b.txt && ";
  for (const std::string action : {"rebase --autostash f", "rebase --apply --autostash f", "merge --autostash f"}) {
    auto sent = pack(WorkspaceMode::clone);
    unpack();
    sh("cd " + inside + " && " + conflict + "! " + git_ + action + " >/dev/null 2>&1");
    ASSERT_EQ(*read_file(inside + "/dir/b.txt"), "two\n") << "git has not put the change aside: " << action;
    for (int pulls = action.starts_with("merge") ? 2 : 1; pulls > 0; --pulls) {
      auto back = come_home(sent.base);
      std::string stash = git("for-each-ref '--format=%(refname)' refs/bottle/s1/stash");
      ASSERT_TRUE(stash.starts_with("refs/bottle/s1/stash/autostash-")) << action << "\n" << back.text;
      EXPECT_EQ(git("show " + stash + ":dir/b.txt"), "aside");
      EXPECT_TRUE(says(back, "git stash apply " + stash + "\n")) << back.text;
    }
  }
}

TEST_F(UnreferencedCommits, TheCommitsOfAnUnfinishedRebaseComeBack) {
  auto back = after(WorkspaceMode::clone, "git checkout -q -b f && echo f > a.txt && " + commit_ +
                                              "-am f && git checkout -q --detach main && " + "echo m > a.txt && " +
                                              commit_ + "-am m && " + empty("later") +
                                              " && ! git -c user.name=a -c user.email=a@b rebase f >/dev/null 2>&1");
  EXPECT_NE(subjects().find("later"), std::string::npos) << back.text;
  EXPECT_TRUE(says(back, "The agent left this unfinished in its copy: a rebase.")) << back.text;
}

TEST_F(UnreferencedCommits, RefsOfAnotherWorkTreeComeBack) {
  auto back = after(WorkspaceMode::clone,
                    "git worktree add -q --detach inner && cd inner && git checkout -q -b x && " + empty("private") +
                        " && git update-ref refs/worktree/p HEAD && git checkout -q --detach main "
                        "&& git branch -q -D x && rm -rf ../.git/worktrees/inner/logs");
  EXPECT_EQ(subjects(), "private") << back.text;
}

// The agent's own refs may have the names that bottle gives.
TEST_F(UnreferencedCommits, NoRefOfTheAgentIsReplaced) {
  for (const std::string name : {"bottle-detached", "bottle-detached/deep"}) {
    auto back = after(WorkspaceMode::clone, "git checkout -q -b " + name + " && " + empty("on-branch") +
                                                " && git checkout -q --detach main && " + empty("on-head"));
    EXPECT_EQ(git("log -1 --format=%s refs/bottle/s1/heads/" + name), "on-branch") << back.text;
    EXPECT_EQ(
        git("log -1 --format=%s refs/bottle/s1/heads/bottle-detached-" + git("rev-parse --short=12 HEAD", inside)),
        "on-head")
        << back.text;
    EXPECT_EQ(git("log -1 --format=%s refs/bottle/s1/worktree"), "on-head");
  }
  // A commit that was left gets such a name as well.
  auto back = after(WorkspaceMode::clone,
                    "git checkout -q --detach && " + empty("left") +
                        " && name=bottle-detached-$(git rev-parse --short=12 HEAD) && git checkout -q main && " +
                        empty("on-branch") + " && git branch -q $name && git reset -q --hard HEAD~1");
  EXPECT_EQ(subjects(), "on-branch\nleft") << back.text;
  back = after(WorkspaceMode::clone, "for text in 0 1 2; do echo $text > a.txt && git stash -q; done && " +
                                         empty("own") + " && git update-ref refs/stash@0 HEAD && " +
                                         "git update-ref refs/stash@1 HEAD && git reset -q --hard HEAD~1");
  for (const char* stash : {"0", "1", "2"})
    EXPECT_EQ(git("show refs/bottle/s1/stash/" + std::string(stash) + ":a.txt"), std::to_string('2' - *stash))
        << back.text;
  for (const char* ref : {"stash@0", "stash@1"})
    EXPECT_EQ(git("log -1 --format=%s refs/bottle/s1/other/" + std::string(ref)), "own") << back.text;
}

// The agent's git does not add the files of such a work tree either.
TEST_F(UnreferencedCommits, AWorkTreeInsideOfTheWorkspaceIsNotASecondCopy) {
  limits.inside = root + "/inside/workspace";
  fs::create_symlink("a.txt", repo + "/link");
  put(repo + "/dos.txt", "dos\n");
  put(repo + "/.gitattributes", "dos.txt eol=crlf\n");
  put(repo + "/.gitignore", "/ignored/\n");
  git("add -A"), git("update-index --add --cacheinfo 160000," + git("rev-parse HEAD") + ",lib");
  git("commit -qm more");
  const std::string change = "echo more >> a.txt && " + commit_ + "-am in-tree";
  const std::string shown = ".claude/worktrees/x", ignored = "ignored/x";
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    auto both = [&](const std::string& command) {
      return "git worktree add -q -b side " + shown + " && git worktree add -q -b other " + ignored +
             " && for place in " + shown + " " + ignored + "; do (cd $place && " + command + ") || exit; done";
    };
    auto back = after(mode, both(change));
    EXPECT_EQ(refs(), "refs/bottle/s1/heads/other\nrefs/bottle/s1/heads/side") << back.text;
    EXPECT_EQ(back.files, 0u);
    EXPECT_EQ(back.patch, "");
    EXPECT_EQ(joined(back.flagged, "\n"), "");
    EXPECT_FALSE(back.is_incomplete) << back.text;
    EXPECT_TRUE(says(back, "The agent had work trees in the workspace: " + shown + ", " + ignored + ". ")) << back.text;
    EXPECT_FALSE(says(back, "missing from these work trees")) << back.text;
    EXPECT_FALSE(says(back, "empty directories")) << back.text;
    // What is not committed there comes home.
    back = after(mode, both(change + " && echo loose > a.txt && echo new > new.txt && chmod +x dos.txt && rm link"));
    EXPECT_TRUE(says(back, "missing from these work trees: " + shown + "/link, " + ignored + "/link\n")) << back.text;
    EXPECT_TRUE(says(back, "Ignored by git, and not taken: ignored/ (3 files)")) << back.text;
    EXPECT_EQ(git("diff --name-only main refs/bottle/s1/worktree"),
              shown + "/a.txt\n" + shown + "/dos.txt\n" + shown + "/new.txt");
    EXPECT_EQ(git("show refs/bottle/s1/worktree:" + shown + "/a.txt"), "loose");
  }
  // Files that the agent committed on its own branch are not left out.
  auto back = after(WorkspaceMode::clone, "git worktree add -q -b side x && mv x/.git ../moved && git add x && " +
                                              commit_ + "-m taken && mv ../moved x/.git");
  EXPECT_EQ(git("diff --name-only refs/bottle/s1/heads/main refs/bottle/s1/worktree"), "") << back.text;
}

TEST_F(UnreferencedCommits, ADirectoryThatIsNoWorkTreeIsNotLeftOut) {
  limits.inside = root + "/inside/workspace";
  const std::vector<std::string> ways = {
      "rm 0/.git", "echo $PWD/y/.git >.git/worktrees/1/gitdir", "echo ref: refs/heads/none >.git/worktrees/2/HEAD",
      "echo $PWD/dir/.git >.git/worktrees/3/gitdir", "git rev-parse HEAD^{tree} >.git/worktrees/4/HEAD"};
  std::string command = "true", files;
  for (size_t i = 0; i < ways.size(); ++i) {
    const std::string place = std::to_string(i);
    command += " && git worktree add -q -b side" + place + " " + place + " && " + ways[i];
    files += place + "/a.txt\n" + place + "/dir/b.txt\n";
  }
  auto back = after(WorkspaceMode::clone, command);
  EXPECT_EQ(git("diff --name-only main refs/bottle/s1/worktree") + "\n", files) << back.text;
  auto all = read_file(back.all_flagged);
  ASSERT_TRUE(all) << joined(back.flagged, "\n");
  for (size_t i = 0; i < ways.size(); ++i)
    EXPECT_EQ(all->contains(std::to_string(i) + "/.git: not brought home"), i > 0) << ways[i] << "\n" << *all;
  EXPECT_FALSE(says(back, "work trees in the workspace")) << back.text;
}

TEST_F(UnreferencedCommits, AWorkTreeWhoseCommitDoesNotComeHomeIsNotLeftOut) {
  limits.inside = root + "/inside/workspace";
  const std::string broken =
      "bad=$({ echo tree $(git rev-parse HEAD^{tree}) && echo parent $(git rev-parse HEAD) && "
      "echo 'author a <a@b> 1 +0000' && echo 'committer a<a@b> 1 +0000' && echo && echo bad; } | "
      "git hash-object -t commit -w --literally --stdin) && ";
  auto fresh = [&](const std::string& place) {
    return "git worktree add -q -b side-" + place + " " + place + " $bad && cd " + place + " && echo " + place +
           " >fresh.txt && git add fresh.txt && " + commit_ + "-m fresh && ";
  };
  auto back = after(WorkspaceMode::clone, broken + fresh("x") + "cd .. && " + fresh("y") +
                                              "git checkout -q --detach && git branch -q -D side-y");
  EXPECT_TRUE(flagged(back, ".git/refs/heads/side-x: not brought home, because it is broken or incomplete"));
  EXPECT_TRUE(flagged(back, ".git/refs/heads/bottle-detached-"));
  for (const std::string place : {"x", "y"})
    EXPECT_EQ(git("show refs/bottle/s1/worktree:" + place + "/fresh.txt"), place) << back.text;
  EXPECT_FALSE(says(back, "work trees in the workspace")) << back.text;
  EXPECT_TRUE(back.is_incomplete);
  // A commit that came home as a part of a branch, and one that the operator has.
  back =
      after(WorkspaceMode::clone, empty("1") + " && " + empty("2") + " && git worktree add -q --detach x main~1 && " +
                                      "git worktree add -q --detach y main~2");
  EXPECT_TRUE(says(back, "work trees in the workspace: x, y. ")) << back.text;
  EXPECT_EQ(back.files, 0u) << back.text;
}

// A few trees that contain each other many times have many files.
TEST_F(UnreferencedCommits, WorkTreesWithTooManyFilesAreNotLeftOut) {
  limits.inside = root + "/inside/workspace";
  const std::string commit =
      "t=$(git rev-parse HEAD:dir) && for i in 1 2 3; do t=$(for n in $(seq 10 27); do printf '040000 tree %s\\t%s\\n' "
      "$t $n; done | git mktree); done && c=$(git -c user.name=a -c user.email=a@b commit-tree -m many $t) && ";
  // The first one is left out, the second one has too many files together with it, and the third one is not listed.
  auto back = after(WorkspaceMode::clone,
                    commit + "for i in 1 2 3; do git worktree add -q --no-checkout x$i $c; touch x$i/new; done");
  EXPECT_TRUE(says(back, "work trees in the workspace: x1. ")) << back.text;
  EXPECT_TRUE(says(back, "missing from these work trees: x1/10/10/10/b.txt, ")) << back.text;
  EXPECT_TRUE(says(back, "and 5824 more")) << back.text;
  EXPECT_FALSE(flagged(back, "x1/.git"));
  for (const char* other : {"x2/.git", "x3/.git"}) EXPECT_TRUE(flagged(back, other)) << back.text;
  EXPECT_TRUE(says(back, "refs/bottle/s1/worktree")) << back.text;
}

TEST_F(UnreferencedCommits, AWorkTreeOutsideOfTheWorkspaceIsNamed) {
  limits.inside = root + "/inside/workspace";
  git("worktree add -q " + root + "/mine");  // the operator's own
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    auto back = after(mode, "git worktree add -q --detach ../wt-" + root.substr(root.size() - 6) +
                                " && git worktree add -q --detach inner && git -C inner status -s");
    EXPECT_TRUE(says(back, "The agent had work trees outside of the workspace, of which only the commits came home: " +
                               root + "/inside/wt-" + root.substr(root.size() - 6) + "\n"))
        << back.text;
    EXPECT_FALSE(says(back, "Nothing changed")) << back.text;
  }
  // Newer versions of git can write this.
  auto back = after(WorkspaceMode::clone,
                    "git worktree add -q --detach ../wt && git worktree add -q --detach inner && "
                    "echo ../../../../wt/.git > .git/worktrees/wt/gitdir && "
                    "echo ../../../inner/.git > .git/worktrees/inner/gitdir");
  EXPECT_TRUE(says(back, "only the commits came home: " + root + "/inside/wt\n")) << back.text;
}

// The agent's git may be packing its refs while a checkpoint reads them.
TEST_F(UnreferencedCommits, ACheckpointKeepsTheRefsOfAnEarlierOne) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  const std::string commit = "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m ";
  sh("cd " + inside + " && git checkout -q -b work && " + commit + "one && git checkout -q main");
  uint64_t room = 100'000'000;
  limits.room = &room;
  (void)come_home(sent.base);
  const std::string work = "refs/bottle/s1/heads/work";
  EXPECT_TRUE(refs().contains(work)) << refs();
  sh("cd " + inside + " && git branch -q -D work");
  (void)come_home(sent.base);
  EXPECT_TRUE(refs().contains(work)) << refs();
  sh("cd " + inside + " && git branch -q work/more && git -C . checkout -q work/more && " + commit + "two");
  (void)come_home(sent.base);
  EXPECT_TRUE(refs().contains(work + "/more")) << "the old name was in the way: " << refs();
  sh("cd " + inside + " && git checkout -q main && git branch -q -D work/more && git checkout -q -b work && " + commit +
     "three");
  (void)come_home(sent.base);
  EXPECT_TRUE(refs().contains(work) && !refs().contains(work + "/more")) << refs();
  sh("cd " + inside + " && git checkout -q main && git branch -q -D work");
  limits.room = nullptr;
  (void)come_home(sent.base);
  EXPECT_FALSE(refs().contains(work)) << "the last one tidies up: " << refs();
}

// What is done for all refs and files together must have the same result as if each were alone.
class Together : public AgentWork {};

TEST_F(Together, TheTreeIsTheOneThatTheAgentsGitWouldCommit) {
  for (const char* name : {"/deep/er/c", "/deep/d", "/other/e", "/gone/f", "/q\"uo\\te\n/ü"}) put(repo + name, "x\n");
  git("add -A"), git("commit -qm more");
  const std::string change =
      "echo 1 >deep/er/new && rm -r gone && echo file >gone && rm a.txt && mkdir a.txt && echo 2 >a.txt/g && "
      "chmod +x dir/b.txt && ln -s dir link && ";
  const std::string commits = "echo 3 >other/h && rm deep/d && git add -A && " + commit_ + "-m h && ";
  // git fast-import writes few files, and an index many.
  for (const auto& [number, before] : {std::pair("10", std::string()), {"10", commits}, {"2001", commits}}) {
    auto back = after(WorkspaceMode::clone,
                      before + change + "mkdir many && for i in $(seq " + number + "); do echo $i >many/$i; done");
    git("add -A", inside);
    EXPECT_EQ(git("rev-parse 'refs/bottle/s1/worktree^{tree}'"), git("write-tree", inside)) << number << before;
    EXPECT_EQ(git("log --format=%an,%s -1 refs/bottle/s1/worktree"), "bottle,What session s1 left in its workspace");
    EXPECT_EQ(git("rev-parse refs/bottle/s1/worktree^"), git("rev-parse HEAD", inside));
    git("apply --check --whitespace=nowarn " + back.patch);
  }
}

TEST_F(Together, ABrokenBranchComesAloneAndTheOthersComeHome) {
  auto back = after(WorkspaceMode::clone, "git checkout -q -b one && echo 1 >one && git add one && " + commit_ +
                                              "-m one && git checkout -q -b two && " + commit_ +
                                              "--allow-empty -m two && t=$(printf '040000 tree %s\\t.git\\n' $(git "
                                              "rev-parse HEAD^{tree}) | git mktree) && git branch evil $(git -c "
                                              "user.name=a -c user.email=a@b commit-tree $t -p HEAD -m evil) && "
                                              "echo new >new");
  EXPECT_EQ(refs(), "refs/bottle/s1/heads/one\nrefs/bottle/s1/heads/two\nrefs/bottle/s1/worktree");
  EXPECT_TRUE(flagged(back, ".git/refs/heads/evil: not brought home"));
  EXPECT_EQ(back.skipped, 1u) << back.text;
  EXPECT_EQ(back.commits, 2u);
  EXPECT_EQ(git("rev-parse refs/bottle/s1/worktree^"), git("rev-parse two", inside));
}

// The files are then compared with the base, and what was found out before that must not count twice.
TEST_F(Together, ABrokenCommitLeavesTheFilesAsTheyWere) {
  git("update-index --add --cacheinfo 160000," + git("rev-parse HEAD") + ",lib"), git("commit -qm submodule");
  // git refuses an author without an address.
  const std::string commit =
      "printf 'tree %s\\nparent %s\\nauthor a 1700000000 +0000\\ncommitter a <a@b> 1700000000 +0000\\n\\nx\\n' $(git "
      "write-tree) $(git rev-parse HEAD) | git hash-object -t commit -w --literally --stdin";
  auto back = after(WorkspaceMode::clone, "echo 1 >one && git add one && git reset -q --hard $(" + commit +
                                              ") && mkdir -p lib && echo 2 >lib/two");
  EXPECT_TRUE(flagged(back, ".git/refs/heads/main: not brought home"));
  EXPECT_EQ(refs(), "refs/bottle/s1/worktree");
  EXPECT_EQ(git("show refs/bottle/s1/worktree:one"), "1");
  EXPECT_TRUE(flagged(back, "lib/two: not brought home, because it is in a submodule that was not sent"));
  EXPECT_EQ(back.skipped, 2u) << joined(back.flagged, "\n");
}

// A clone's pack is not read again, unless it has something that the operator no longer has.
TEST_F(Together, WhatTheOperatorHasRemovedComesOutOfTheClone) {
  std::string blob = sh("cd " + repo + " && echo theirs | git hash-object -w --stdin");
  std::string tree = sh("cd " + repo + " && printf '100644 blob " + blob + "\\tt\\n' | git mktree");
  git("update-ref refs/remotes/origin/main " + git("commit-tree -m theirs " + tree));
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  git("update-ref -d refs/remotes/origin/main"), git("prune --expire=now");
  sh("cd " + inside + " && git checkout -q -b mine origin/main && " + commit_ + "--allow-empty -m mine");
  auto back = come_home(sent.base);
  EXPECT_EQ(git("show refs/bottle/s1/heads/mine:t"), "theirs") << back.text;
}

// git keeps a single object that nothing names any longer, but not the pack with its history.
TEST_F(Together, AHistoryOfWhichOnlyTheEndIsLeftComesOutOfTheClone) {
  std::string tree = git("rev-parse HEAD^{tree}"), first = git("commit-tree -m first " + tree);
  git("update-ref refs/remotes/origin/main " + first), git("repack -adq");
  std::string second = git("commit-tree -p " + first + " -m second " + tree);
  git("update-ref refs/remotes/origin/main " + second);
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  git("update-ref -d refs/remotes/origin/main"), git("repack -adq");
  ASSERT_EQ(git("cat-file -t " + second), "commit");
  ASSERT_NE(sh("git -C " + repo + " cat-file -e " + first + " 2>/dev/null || echo gone"), "");
  sh("cd " + inside + " && git checkout -q -b mine origin/main && " + commit_ + "--allow-empty -m mine");
  auto back = come_home(sent.base);
  EXPECT_EQ(git("log --format=%s refs/bottle/s1/heads/mine"), "mine\nsecond\nfirst") << back.text;
}

TEST_F(Together, ManyCommitsAreCounted) {
  std::string commits;
  for (int i = 0; i < 1001; ++i)
    commits += "commit refs/heads/main\ncommitter t <t@t> 1700000000 +0000\ndata 2\nx\n\n" +
               std::string(i == 0 ? "from refs/heads/main^0\n" : "") + "\n";
  put(root + "/commits", commits);
  auto back = after(WorkspaceMode::clone, "git fast-import --quiet <" + root + "/commits");
  EXPECT_EQ(back.commits, 1001u);
  EXPECT_TRUE(says(back, "git merge refs/bottle/s1/worktree")) << back.text;
}

}  // namespace
}  // namespace bottle::workspace
