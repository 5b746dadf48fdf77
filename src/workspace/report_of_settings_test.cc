// Tests that the report names changes besides those of files and refs: settings, permissions, unfinished merges, and
// what the engine or git leaves out.
#include "base/files/unreadable_test.h"
#include "base/ids.h"
#include "base/stream.h"
#include "workspace/agent_work_test.h"
#include "workspace/receiving/take.h"

namespace bottle::workspace {
namespace {

using manifest::WorkspaceMode;

class Report : public AgentWork {
 protected:
  // Returns whether an archive has a hard link whose own name begins so.
  static bool has_link_below(const std::string& bytes, const std::string& path) {
    bool found = false;
    EXPECT_TRUE(read_tar(source_of(bytes), [&](const TarEntry& entry, const Source&) -> Result<> {
      found |= entry.kind == TarEntry::Kind::hardlink && entry.path.starts_with(path);
      return {};
    }));
    return found;
  }
};

TEST_F(Report, NamesChangedSettingsOutsideTheConfiguration) {
  put(repo + "/.git/info/attributes", "*.x text\n");
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    EXPECT_EQ(after(mode, "git status").text, "Nothing changed in the workspace.\n");
    auto back = after(mode,
                      "mkdir -p .git/info && cd .git/info && for file in exclude attributes grafts sparse-checkout; "
                      "do echo '# new' >> $file; done");
    EXPECT_TRUE(says(back,
                     "changed git's settings in its copy. Yours are unchanged: .git/info/attributes, "
                     ".git/info/exclude, .git/info/grafts, .git/info/sparse-checkout\n"))
        << back.text;
    back = after(mode, "git rev-parse HEAD > .git/shallow");
    EXPECT_TRUE(says(back, ".git/shallow")) << back.text;
  }
  auto back = after(WorkspaceMode::copy, "rm .git/info/attributes");
  EXPECT_TRUE(says(back, ".git/info/attributes")) << back.text;
}

TEST_F(Report, NamesAMissingGitDirectory) {
  for (const std::string& way : {"rm -rf .git", "rm .git/HEAD", "echo broken > .git/HEAD"}) {
    auto back = after(WorkspaceMode::copy, way);
    EXPECT_TRUE(says(back, "removed git's directory in its copy, or broke it. Yours is unchanged: .git\n"))
        << back.text;
    EXPECT_FALSE(says(back, "Nothing changed")) << back.text;
    EXPECT_FALSE(says(back, "settings")) << back.text;
  }
}

// Docker sorts the names in each directory, and an archive contains all names of a file but the first as hard links.
TEST_F(Report, RepositoriesThatShareTheirFilesWithAnotherCopyComeHome) {
  git("gc -q");
  auto sent = pack(WorkspaceMode::copy);
  fs::copy(repo, root + "/before", fs::copy_options::recursive);
  const std::string loose = "true", packed = "git repack -q -d";
  for (const auto& [store, copy] : std::vector<std::pair<std::string, std::string>>{
           {loose, "git clone -q . .cache/x"},
           {packed, "git clone -q . .cache/x"},
           {loose, "mkdir .backup && cp -al .git .backup/"},
           {loose, "cp -al .git .backup"},
           {packed, "cp -al .git .backup"},
           {packed, "git clone -q --bare . .cache/x.git"},
       }) {
    unpack();
    sh("cd " + inside + " && echo x >x && git add x && " + commit_ + "-m new && " + store + " && " + copy +
       " && tar -C .. --sort=name --format=pax -cf " + root + "/in.tar workspace");
    std::string bytes = *read_file(root + "/in.tar");
    ASSERT_TRUE(has_link_below(bytes, "workspace/.git/objects/")) << copy;
    auto back = take(bytes, sent.base);
    ASSERT_TRUE(back) << copy << back.error().what;
    EXPECT_EQ(git("log --format=%s " + sent.base + "..refs/bottle/s1/heads/main"), "new") << copy << back->text;
    EXPECT_FALSE(says(*back, "removed git's directory")) << copy << back->text;
    EXPECT_FALSE(flagged(*back, "a link or a device")) << copy << joined(back->flagged);
    fs::remove_all(repo);  // which has the commit now
    fs::copy(root + "/before", repo, fs::copy_options::recursive);
  }
}

// The outer repository has the objects already, and the inner one does not.
TEST_F(Report, ANestedRepositoryThatSharesItsFilesWithACloneComesHome) {
  sh("git clone -q " + repo + " " + root + "/lib");
  git("commit -q --allow-empty -m newer");
  sh("mv " + root + "/lib " + repo + "/lib");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  sh("cd " + inside +
     "/lib && git fetch -q .. main && git merge -q --ff-only FETCH_HEAD && cd .. && "
     "git clone -q lib aaa && tar -C .. --sort=name --format=pax -cf " +
     root + "/in.tar workspace");
  std::string bytes = *read_file(root + "/in.tar");
  ASSERT_TRUE(has_link_below(bytes, "workspace/lib/.git/objects/"));
  auto back = take(bytes, sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(git("log -1 --format=%s refs/bottle/s1/heads/main", repo + "/lib"), "newer") << back->text;
}

// A build tool links its results, and the operator may build, too, while the agent works.
TEST_F(Report, AnIgnoredHardLinkIsOnlyFlaggedIfItIsToBeKept) {
  put(repo + "/.gitignore", "/target/\n");
  git("add -A"), git("commit -qm rules");
  for (bool keep : {false, true}) {
    limits.keep_ignored = keep;
    put(repo + "/target/app", std::string(2 << 20, 'x'));
    fs::remove(repo + "/target/link");
    fs::create_symlink("app", repo + "/target/link");
    auto sent = pack(WorkspaceMode::copy);
    put(repo + "/target/app", "the operator's\n");
    unpack();
    sh("cd " + inside + "/target && ln app app2 && ln -P link link2");
    run({"tar", "--sort=name", "-C", root + "/inside", "-cf", root + "/in.tar", "workspace"});
    auto back = take(*read_file(root + "/in.tar"), sent.base);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(flagged(*back, "target/app2: not brought home, because it is a hard link to a file whose content"), keep);
    EXPECT_EQ(back->skipped, keep ? 1u : 0u) << joined(back->flagged);
    EXPECT_TRUE(says(*back, keep ? "target/link2" : "not taken: target/ (2 files)")) << back->text;
  }
}

TEST_F(Report, ManyLinksToALargeFileCountAsManyFiles) {
  pack(WorkspaceMode::copy);
  unpack();
  sh("cd " + inside +
     " && head -c 1M /dev/zero >.a && mkdir -p .git/logs/refs/heads && for i in $(seq 20); do ln .a "
     ".git/logs/refs/heads/$i; done && tar -C .. --sort=name --format=pax -cf " +
     root + "/in.tar workspace");
  auto back = take(*read_file(root + "/in.tar"), git("rev-parse HEAD"), "", 8 << 20);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_TRUE(flagged(*back, "10 more: not brought home, because it is larger than what bottle sorts"));
}

TEST_F(Report, NamesPermissionsThatACommitCannotHold) {
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    auto back = after(mode, "chmod 600 a.txt && chmod 700 dir && mkdir -m 700 new && echo n > new/n");
    EXPECT_TRUE(says(back, "changed permissions that no commit and no patch can hold: a.txt, dir\n")) << back.text;
    EXPECT_TRUE(says(after(mode, "chmod u+s a.txt"), "can hold: a.txt\n"));
  }
}

TEST_F(Report, NamesLinksThatLeaveTheTreeThroughOtherLinks) {
  sh("cd " + repo + " && ln -s /etc ext && mkdir top && ln -s dir/../a.txt own && git add -A && " + commit_ + "-m ext");
  const std::string make =
      "mkdir -p a/b top && ln -s ../../top a/b/s && ln -s s/../../x a/b/l && ln -s ext/hostname new";
  auto back = after(WorkspaceMode::clone, make);
  EXPECT_TRUE(
      flagged(back, "a/b/l → s/../../x: not brought home, because the link points out of the tree, or may do so"));
  EXPECT_TRUE(flagged(back, "new → ext/hostname: a link that points out of the tree"));
  EXPECT_FALSE(flagged(back, "own")) << "it was sent, and is unchanged: " << joined(back.flagged, "\n");
  EXPECT_EQ(git("ls-tree -r --name-only refs/bottle/s1/worktree a"), "a/b/s");
  back = after(WorkspaceMode::clone, make + " && git add -A && " + commit_ + "-m links");
  EXPECT_TRUE(flagged(back, "a/b/l → s/../../x [branch main]"));
  EXPECT_TRUE(flagged(back, "a link that points out of the tree"));
}

// A nested repository is compared by itself, but the links of the outer one may lead through it.
TEST_F(Report, NamesLinksThatLeaveTheTreeThroughARepositoryBelow) {
  make_inner(repo + "/sub");
  sh("cd " + repo + "/sub && mkdir d && echo x > d/x && ln -s d s && git add -A && " + commit_ + "-m s");
  sh("cd " + repo + " && ln -s sub/s/../../x l && git add l && " + commit_ + "-m l");
  auto back = after(WorkspaceMode::copy, "echo y > sub/d/y");
  EXPECT_FALSE(flagged(back, "l → "));
  back = after(WorkspaceMode::copy, "cd sub && ln -sfn . s");
  EXPECT_TRUE(flagged(back, "l → sub/s/../../x: a link that points out of the tree"));
}

// The command would follow a link of the operator's that it does not name.
TEST(CopyCommand, IsNotGivenIfTheFilesCannotBeListed) {
  std::string root = fs::temp_directory_path() / ("copy-command-" + random_hex(4));
  ASSERT_TRUE(make_directories(root + "/from") && write_file_atomically(root + "/from/x", ""));
  EXPECT_TRUE(copy_command(root + "/from", root).starts_with("cp "));
  auto refused =
      without_listings([&] { return copy_command(root + "/from", root).starts_with("# Copy the files in "); });
  fs::remove_all(root);
  if (!refused) GTEST_SKIP() << "this system cannot simulate an error of the disk";
  EXPECT_TRUE(*refused);
}

TEST_F(Report, NamesAnUnfinishedMerge) {
  git("checkout -q -b other");
  put(repo + "/a.txt", "other\n");
  git("commit -qam other");
  git("checkout -q main");
  const std::string begin =
      "git checkout -q --detach && echo mine > a.txt && " + commit_ +
      "-am lost && git checkout -q main && git -c user.name=a -c user.email=a@b merge -q --no-ff --no-commit HEAD@{1}";
  auto back = after(WorkspaceMode::copy, begin);
  EXPECT_TRUE(says(back, "The agent left this unfinished in its copy: a merge.")) << back.text;
  EXPECT_NE(git("for-each-ref --format='%(contents:subject)' refs/bottle/s1/heads").find("lost"), std::string::npos);
  back = after(WorkspaceMode::copy, "git bisect start && git bisect bad");
  EXPECT_TRUE(says(back, "unfinished in its copy: a bisection.")) << back.text;
}

TEST_F(Report, NamesCommitsThatTheAgentReset) {
  for (const std::string& way : {"git reset -q --hard HEAD~1", "git checkout -q main && git branch -q -D f"}) {
    auto back =
        after(WorkspaceMode::copy, "git checkout -q -b f && echo x >> a.txt && " + commit_ + "-am dropped && " + way);
    EXPECT_NE(git("for-each-ref --format='%(contents:subject)' refs/bottle/s1/heads").find("dropped"),
              std::string::npos)
        << way << "\n"
        << back.text;
    EXPECT_TRUE(says(back, "No branch of the agent has the commits on refs with \"bottle-detached\"")) << back.text;
  }
  auto back = after(WorkspaceMode::copy, "echo x >> a.txt && " + commit_ + "-am one && " + commit_ +
                                             "--amend -m two && git reset -q --hard && git checkout -q -b g");
  EXPECT_EQ(refs().find("bottle-detached"), std::string::npos) << "an amended commit has a successor: " << back.text;
}

TEST_F(Report, TellsStashesAndLeftCommitsFromBranchesWithSuchNames) {
  auto back = after(WorkspaceMode::clone, "git checkout -q -b a/stash/b && " + commit_ +
                                              "--allow-empty -m one && git branch heads/bottle-detached-c");
  EXPECT_EQ(refs(),
            "refs/bottle/s1/heads/a/stash/b\nrefs/bottle/s1/heads/heads/bottle-detached-c\nrefs/bottle/s1/worktree");
  EXPECT_FALSE(says(back, "git stash apply")) << back.text;
  EXPECT_FALSE(says(back, "No branch of the agent has")) << back.text;
}

// Files that a sparse checkout leaves out do not count as removed.
TEST_F(Report, DoesNotCallFilesOutsideASparseCheckoutRemoved) {
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    auto back = after(
        mode,
        "git status >/dev/null && git sparse-checkout set --no-cone /a.txt && test ! -e dir && echo more >> a.txt");
    EXPECT_EQ(back.files, 1u) << back.text;
    EXPECT_TRUE(says(back, "leaves 1 file out of its checkout, which does not count as removing them: dir/b.txt"))
        << back.text;
    EXPECT_EQ(git("diff --name-only HEAD refs/bottle/s1/worktree"), "a.txt");
  }
}

// The engine's archive omits paths of more than 4095 bytes without an error.
TEST_F(Report, NamesDirectoriesTooDeepForTheEngine) {
  auto sent = pack(WorkspaceMode::clone);
  std::string deep;
  while (deep.size() < 3600) deep += "/" + std::string(200, 'd');
  auto back =
      take(craft([&](docker::TarWriter& tar) {
             for (const char* file : {"a.txt", "dir/b.txt"})
               EXPECT_TRUE(tar.file(std::string("workspace/") + file, 0644, 0, 0, file[0] == 'a' ? "one\n" : "two\n"));
             EXPECT_TRUE(tar.directory("workspace" + deep, 0755, 0, 0));
             EXPECT_TRUE(tar.directory("workspace" + deep + "/e", 0755, 0, 0));
             EXPECT_TRUE(tar.file("workspace" + deep + "/" + std::string(255, 'e') + "/" + std::string(255, 'f') + "/f",
                                  0644, 0, 0, "x"));
           }),
           sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_TRUE(flagged(*back, "because the engine leaves out paths of more than 4095 bytes"));
  EXPECT_TRUE(flagged(*back, "because the path is too long or too deep"));
  EXPECT_FALSE(flagged(*back, "leads out of the workspace"));
  EXPECT_EQ(back->skipped, 2u) << joined(back->flagged, "\n");
  EXPECT_FALSE(says(*back, "empty directories")) << back->text;
}

TEST_F(Report, IncludesStagedFilesOfASplitIndex) {
  configure("core.splitIndex", "true");
  configure("splitIndex.maxPercentChange", "100");
  git("update-index --split-index");
  for (const std::string& place : {"", "git worktree add -q --detach ../other && cd ../other && "}) {
    auto back = after(WorkspaceMode::copy, place + std::string("echo staged > n.txt && git add n.txt && rm n.txt"));
    EXPECT_FALSE(flagged(back, "split"));
    std::string ref = place.empty() ? "staged" : "staged-other";
    EXPECT_EQ(git("show refs/bottle/s1/" + ref + ":n.txt"), "staged") << back.text;
  }
  EXPECT_EQ(after(WorkspaceMode::copy, "git status").text, "Nothing changed in the workspace.\n");
  auto back = after(WorkspaceMode::copy, "echo staged > n.txt && git add n.txt && rm n.txt .git/sharedindex.*");
  EXPECT_TRUE(flagged(back, ".git/index: what is only staged was not brought home"));
}

// git before version 2.48 refuses a repository with this extension.
TEST_F(Report, ACopyHasNoExtensionThatOldGitDoesNotKnow) {
  configure("core.repositoryFormatVersion", "1");
  configure("extensions.relativeWorktrees", "true");
  auto back = after(WorkspaceMode::copy, "git status && echo more >> a.txt && " + commit_ + "-am one");
  EXPECT_EQ(back.commits, 1u) << back.text;
  EXPECT_FALSE(says(back, "settings")) << back.text;
}

// The index of a small repository is written in the same second as its files. git then compares their content, which
// the filter has changed.
TEST_F(Report, DoesNotCallAFilteredFileAnUncommittedChange) {
  configure("filter.up.clean", "tr a-z A-Z");
  put(repo + "/.gitattributes", "*.up filter=up\n");
  put(repo + "/t.up", "text\n");
  git("add -A && touch -r " + repo + "/t.up " + repo + "/.git/index");
  git("commit -qm up && touch -r " + repo + "/t.up " + repo + "/.git/index");
  auto warnings = [&] { return joined(pack(WorkspaceMode::clone).warnings, "\n"); };
  EXPECT_EQ(warnings(), "");
  put(repo + "/t.up", "Text\n");
  sh("touch -d @1 " + repo + "/t.up");
  EXPECT_NE(warnings(), "") << "it was written again, and only the filter could tell what it is";
  git("checkout t.up");
  put(repo + "/a.txt", "ONE\n");
  EXPECT_NE(warnings(), "") << "there is no filter for this one";
}

TEST_F(Report, SaysWhereARepositoryBelowLeavesSomethingBehind) {
  make_inner(repo + "/in");
  auto back = after(WorkspaceMode::copy, "mkdir -p in/.git/hooks && echo x > in/.git/hooks/pre-commit");
  EXPECT_TRUE(flagged(back, "in in: .git/hooks/pre-commit: not brought home, because it is a hook"));
  back = after(WorkspaceMode::copy, "rm -rf in && echo x > in");
  EXPECT_TRUE(flagged(back, "in in: the directory: not brought home, because it is no longer one"));
}

TEST_F(Report, NamesTheCommitThatTheRepositoryLost) {
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  fs::remove_all(repo + "/.git/objects");
  fs::create_directory(repo + "/.git/objects");
  auto back = take_inside(sent.base);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().what, "the repository " + repo + " no longer has the commit " + sent.base.substr(0, 12) +
                                   ", from which the work started");
}

// The kept files are home already, so they do not count against the size up to which others are copied.
TEST_F(Report, LargeKeptFilesDoNotHideTheIgnoredOnes) {
  sh("cd " + repo + " && printf 'dist/\n.env\n' > .gitignore && git add -A && " + commit_ + "-m ignore");
  limits.keep = {"dist/big"};
  auto back =
      after(WorkspaceMode::copy, "mkdir dist && truncate -s 40M dist/big && echo x > dist/rest && echo y > .env");
  EXPECT_TRUE(fs::exists(root + "/results/s1/kept/dist/big"));
  EXPECT_TRUE(fs::exists(root + "/results/s1/ignored/.env"));
  EXPECT_EQ(back.ignored, (std::vector<std::string>{".env", "dist/rest"}));
  limits.keep = {"dist/", ".env"};
  back = after(WorkspaceMode::copy, "mkdir dist && echo x > dist/rest");
  EXPECT_FALSE(says(back, "not taken")) << back.text;
}

TEST_F(Report, SaysHowToTakeAStash) {
  auto back = after(WorkspaceMode::copy, "echo x >> a.txt && git -c user.name=a -c user.email=a@b stash -q");
  EXPECT_TRUE(says(back, "Take it: git stash apply refs/bottle/s1/stash/0\n")) << back.text;
}

// `git diff` does not show the untracked files of a stash, and `git stash apply` writes them.
TEST_F(Report, TheUntrackedFilesOfAStashAreInspected) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  sh("cd " + inside +
     " && mkdir .vscode && echo x > .vscode/tasks.json && echo x > .envrc && echo x >> a.txt && "
     "git -c user.name=a -c user.email=a@b stash -q --include-untracked");
  auto back = come_home(sent.base);
  EXPECT_TRUE(flagged(back, ".envrc [branch refs/stash]")) << joined(back.flagged);
  EXPECT_TRUE(flagged(back, ".vscode/tasks.json [branch refs/stash]")) << joined(back.flagged);
  EXPECT_TRUE(says(back, "See it:  git stash show --patch --include-untracked refs/bottle/s1/stash/0\n")) << back.text;
  EXPECT_TRUE(says(back, "Take it: git stash apply refs/bottle/s1/stash/0\n")) << back.text;
}

TEST_F(Report, KeptFilesAreInspected) {
  put(repo + "/.gitignore", ".envrc\ndist/\n");
  git("add -A"), git("commit -qm rules");
  limits.keep_ignored = true;
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  put(inside + "/.envrc", "x\n");
  fs::create_directory(inside + "/dist");
  put(inside + "/dist/package.json", "{}\n");
  put(inside + "/dist/a", "x\n");
  auto back = come_home(sent.base);
  EXPECT_TRUE(flagged(back, ".envrc [kept]")) << joined(back.flagged);
  EXPECT_TRUE(flagged(back, "dist/package.json [kept]")) << joined(back.flagged);
  EXPECT_FALSE(flagged(back, "dist/a")) << joined(back.flagged);
}

// The tree of notes has none of the files of the base.
TEST_F(Report, NotesRemoveNoFiles) {
  put(repo + "/.npmrc", "ignore-scripts=true\n");
  git("add -A"), git("commit -qm settings");
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  git("notes add -m remark HEAD", inside);
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->refs.size(), 1u);
  EXPECT_FALSE(flagged(*back, "removed")) << back->text;
}

}  // namespace
}  // namespace bottle::workspace
