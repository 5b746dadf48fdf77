// Tests that what comes back is exactly what the agent did, whatever state the operator's tree was in.
#include <fcntl.h>

#include "workspace/quarantine/work_files.h"
#include "workspace/receiving/ref_names.h"
#include "workspace/receiving/take.h"
#include "workspace/workspace_test.h"

namespace bottle::workspace {
namespace {

using manifest::WorkspaceMode;

class ChangedFiles : public Workspace {
 protected:
  void SetUp() override {
    Workspace::SetUp();
    make_repository();
  }
  // Writes one file into the repository, and commits everything in it.
  void commit_file(const std::string& path, const std::string& text) {
    put(repo + "/" + path, text);
    git("add -A");
    git("commit -qm more");
  }
  std::string differs(const std::string& from = "HEAD", const std::string& to = "refs/bottle/s1/worktree") {
    return git("diff --name-status " + from + " " + to);
  }
};

TEST_F(ChangedFiles, OnlyTheAgentsChangesToADirtyTreeComeBack) {
  std::string lines;
  for (int i = 1; i <= 40; ++i) lines += std::to_string(i) + "\n";
  commit_file("f.txt", lines);
  sh("sed -i 's/^2$/two (mine)/' " + repo + "/f.txt");
  put(repo + "/untracked.txt", "mine\n");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  // The operator continues to work; only what was sent counts.
  put(repo + "/untracked.txt", "mine, later\n");
  sh("sed -i 's/^35$/thirty-five (agent)/' " + inside + "/f.txt");
  auto back = come_home(sent.base);
  EXPECT_EQ(back.files, 1u);
  EXPECT_EQ(differs(), "M\tf.txt");
  EXPECT_EQ(git("diff --numstat HEAD refs/bottle/s1/worktree"), "1\t1\tf.txt");
  EXPECT_EQ(back.text.find("git merge"), std::string::npos) << back.text;  // git would refuse to merge it
  git("apply " + back.patch);
  EXPECT_EQ(sh("grep -c -e mine -e agent " + repo + "/f.txt"), "2");
}

TEST_F(ChangedFiles, ConflictingChangesAreReported) {
  put(repo + "/a.txt", "mine\n");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  put(inside + "/a.txt", "mine and the agent's\n");
  auto back = come_home(sent.base);
  EXPECT_EQ(git("show refs/bottle/s1/worktree:a.txt"), "mine and the agent's");
  EXPECT_NE(back.text.find("Your own changes in a.txt"), std::string::npos) << back.text;
  git("apply " + back.patch);
  EXPECT_EQ(*read_file(repo + "/a.txt"), "mine and the agent's\n");
}

// git's status is then 127, with which a shell would say that git is missing.
TEST_F(ChangedFiles, ManyConflictsAreReported) {
  auto lines = [](const std::string& each) {
    std::string text;
    for (int i = 0; i < 130; ++i) text += each + "\n1\n2\n3\n4\n";
    return text;
  };
  commit(repo, {{"a.txt", lines("committed")}});
  put(repo + "/a.txt", lines("the operator's"));
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  put(inside + "/a.txt", lines("the agent's"));
  auto back = come_home(sent.base);
  EXPECT_NE(back.text.find("Your own changes in a.txt"), std::string::npos) << back.text;
}

TEST_F(ChangedFiles, AnUncommittedFileOfTheOperatorIsNotTheAgents) {
  put(repo + "/mine.txt", "mine\n");
  put(repo + "/a.txt", "dirty\n");
  fs::remove(repo + "/dir/b.txt");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  put(inside + "/new.txt", "agent's\n");
  git("add new.txt", inside);
  git("commit -qm new", inside);
  put(inside + "/loose.txt", "agent's\n");
  auto back = come_home(sent.base);
  EXPECT_EQ(back.files, 2u);
  EXPECT_EQ(differs(), "A\tloose.txt\nA\tnew.txt");
  EXPECT_EQ(git("rev-parse refs/bottle/s1/worktree^"), git("rev-parse refs/bottle/s1/heads/main"));
}

TEST_F(ChangedFiles, ASparseCheckoutKeepsTheFilesOutsideOfIt) {
  commit_file("keep/k", "k\n");
  commit_file("huge/h", "h\n");
  git("sparse-checkout init --cone");
  git("sparse-checkout set keep");
  ASSERT_FALSE(fs::exists(repo + "/huge"));
  for (const char* from : {"/repo", "/side"}) {
    if (from == std::string("/side")) {
      git("worktree add -q -b side " + root + "/side");
      git("sparse-checkout init --cone", root + "/side");
      git("sparse-checkout set keep", root + "/side");
    }
    auto sent = pack(WorkspaceMode::copy, root + from);
    unpack();
    EXPECT_EQ(git("status --porcelain", inside), "") << from;
    put(inside + "/keep/k", "changed\n");
    git("commit -qam one", inside);
    put(inside + "/keep/k", "changed again\n");
    auto back = take_inside(sent.base, root + from);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->files, 1u);
    EXPECT_EQ(differs(), "M\tkeep/k") << from;
  }
}

TEST_F(ChangedFiles, FilesThatCouldNotBeSentAreNotDeleted) {
  commit_file("out", "x");
  fs::remove(repo + "/out");
  fs::create_symlink("/etc/passwd", repo + "/out");
  git("add -A");
  git("commit -qm link");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  EXPECT_EQ(git("status --porcelain", inside), "");
  git("commit -q --allow-empty -am all", inside);
  put(inside + "/a.txt", "changed\n");
  auto back = come_home(sent.base);
  EXPECT_EQ(differs(), "M\ta.txt");
}

TEST_F(ChangedFiles, ConvertedLineEndsAreNoChange) {
  set_operators_settings("[core]\n\tautocrlf = true\n");
  put(repo + "/dos.txt", "one\r\ntwo\r\n");
  sh("cd " + repo + " && GIT_CONFIG_GLOBAL=" + root +
     "/gitconfig git add -A && git -c user.name=t -c user.email=t@t commit -qm dos");
  ASSERT_EQ(git("show HEAD:dos.txt | od -c | grep -c r || true"), "0");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  put(inside + "/a.txt", "agent\r\n");
  auto back = come_home(sent.base);
  EXPECT_EQ(differs(), "M\ta.txt");
  EXPECT_EQ(git("show refs/bottle/s1/worktree:a.txt"), "agent");
  put(inside + "/dos.txt", "one\r\nagent\r\n");
  back = come_home(sent.base);
  EXPECT_EQ(git("show refs/bottle/s1/worktree:dos.txt"), "one\nagent");
  sh("cd " + repo + " && GIT_CONFIG_GLOBAL=" + root + "/gitconfig git apply " + back.patch);
  EXPECT_EQ(*read_file(repo + "/dos.txt"), "one\r\nagent\r\n");
}

TEST_F(ChangedFiles, ModesThatTheRepositoryIgnoresAreNoChange) {
  configure("core.fileMode", "false");
  sh("chmod 755 " + repo + "/a.txt " + repo + "/dir/b.txt");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  put(inside + "/a.txt", "changed\n");
  auto back = come_home(sent.base);
  EXPECT_EQ(git("diff --raw --abbrev=4 HEAD refs/bottle/s1/worktree | cut -d' ' -f1,2"), ":100644 100644");
  EXPECT_EQ(back.files, 1u);
}

// For the comparison, no regular file is written into the directory of such a link.
TEST_F(ChangedFiles, ALinkThatTheOperatorHadNotCommittedIsInThePatch) {
  for (bool has_git : {true, false}) {
    fs::create_directories(repo + "/app/deep");
    fs::create_symlink("v1", repo + "/app/deep/current");
    if (!has_git) fs::remove_all(repo + "/.git");
    for (const std::string& target : {"v2", ""}) {
      SCOPED_TRACE(target + (has_git ? " in a repository" : ""));
      auto sent = pack(WorkspaceMode::copy);
      unpack();
      fs::remove(inside + "/app/deep/current");
      if (!target.empty()) fs::create_symlink(target, inside + "/app/deep/current");
      auto back = come_home(sent.base);
      EXPECT_EQ(back.files, 1u) << back.text;
      ASSERT_NE(back.patch, "") << back.text;
      auto applied = apply({{repo, back.patch}}, root + "/scratch");
      ASSERT_TRUE(applied) << applied.error().what;
      std::error_code gone;
      EXPECT_EQ(fs::read_symlink(repo + "/app/deep/current", gone), target);
    }
  }
}

TEST_F(ChangedFiles, ALinkInPlaceOfACommittedFileIsNotAFileWhereModesAreIgnored) {
  configure("core.fileMode", "false");
  fs::remove(repo + "/a.txt");
  fs::create_symlink("v1", repo + "/a.txt");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  fs::remove(inside + "/a.txt");
  fs::create_symlink("v2", inside + "/a.txt");
  auto back = come_home(sent.base);
  auto applied = apply({{repo, back.patch}}, root + "/scratch");
  ASSERT_TRUE(applied) << applied.error().what;
  EXPECT_EQ(fs::read_symlink(repo + "/a.txt"), "v2");
}

TEST_F(ChangedFiles, FilteredContentIsNoChange) {
  configure("filter.lfs.clean", "sh -c 'echo pointer; wc -c'");
  configure("filter.lfs.smudge", "cat");
  put(repo + "/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
  commit_file("model.bin", std::string(3000, 'x'));
  ASSERT_EQ(git("show HEAD:model.bin"), "pointer\n3000");
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    auto sent = pack(mode);
    unpack();
    put(inside + "/a.txt", "changed\n");
    auto back = come_home(sent.base);
    EXPECT_EQ(differs(), "M\ta.txt");
    EXPECT_FALSE(flagged(back, "model.bin")) << back.text;
  }
}

// bottle does not run filters, so the operator's own git must filter what the agent made.
TEST_F(ChangedFiles, FilesThatAFilterWouldConvertAreCopiedAndNotCommitted) {
  configure("filter.lfs.clean", "sh -c 'echo pointer; wc -c'");
  configure("filter.lfs.smudge", "cat");
  put(repo + "/.gitattributes", "*.bin filter=lfs -text\n*.tmp.bin filter=lfs -text\n");
  put(repo + "/.gitignore", "*.tmp.bin\n");
  put(repo + "/old.bin", "x");
  commit_file("model.bin", std::string(3000, 'x'));
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    put(repo + "/old.bin", "x");
    put(repo + "/model.bin", std::string(3000, 'x'));
    auto sent = pack(mode);
    unpack();
    put(inside + "/model.bin", "the agent's");
    put(inside + "/sub ü/new.bin", "new");
    put(inside + "/a.tmp.bin", "ignored");
    put(inside + "/a.txt", "changed\n");
    fs::remove(inside + "/old.bin");
    auto back = come_home(sent.base);
    EXPECT_EQ(differs(), "M\ta.txt\nD\told.bin");
    EXPECT_EQ(back.files, 4u);
    EXPECT_EQ(back.ignored, std::vector<std::string>{"a.tmp.bin"});
    EXPECT_NE(back.text.find("git's filter lfs converts them"), std::string::npos) << back.text;
    size_t at = back.text.find("cp -Ri ");  // asks whether to overwrite model.bin
    ASSERT_NE(at, std::string::npos) << back.text;
    sh("cd / && yes | " + back.text.substr(at, back.text.find('\n', at) - at) + " && git -C " + repo + " apply " +
       back.patch + " && git -C " + repo + " add -A");
    EXPECT_EQ(git("diff --cached --no-renames --name-status"),
              "M\ta.txt\nM\tmodel.bin\nD\told.bin\nA\t\"sub \\303\\274/new.bin\"");
    EXPECT_EQ(git("show :model.bin"), "pointer\n11");
    git("reset -q --hard");
  }
}

// `cp` writes to the place that a link leads to, which may be any file of the operator's.
TEST_F(ChangedFiles, AFileThatReplacesALinkIsNotWrittenThroughIt) {
  configure("filter.lfs.clean", "cat");
  put(repo + "/.gitattributes", "*.bin filter=lfs -text\n");
  put(root + "/outside/x.bin", "the operator's");
  fs::create_symlink("../outside/x.bin", repo + "/x.bin");
  fs::create_directory_symlink("../outside", repo + "/d ü");
  commit_file("more.txt", "x");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  for (const char* link : {"/x.bin", "/d ü"}) fs::remove(inside + link);
  put(inside + "/x.bin", "the agent's");
  put(inside + "/d ü/x.bin", "the agent's");
  auto back = come_home(sent.base);
  size_t at = back.text.find("cp -R "), line = back.text.rfind('\n', at) + 1;
  ASSERT_NE(at, std::string::npos) << back.text;
  sh("cd / && " + back.text.substr(line, back.text.find('\n', at) - line));
  EXPECT_EQ(*read_file(root + "/outside/x.bin"), "the operator's");
  for (const char* path : {"/x.bin", "/d ü/x.bin"}) EXPECT_EQ(*read_file(repo + path), "the agent's") << back.text;
}

// Without git-lfs, `git add -A` in the bottle commits the files themselves instead of pointers.
TEST_F(ChangedFiles, FilesThatTheAgentCommittedUnfilteredAreRemovedFromTheCommit) {
  std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, 'a') + "\nsize 3000\n";
  configure("filter.lfs.clean", "cat");
  put(repo + "/.gitattributes", "*.bin filter=lfs -text\n");
  commit_file("model.bin", pointer);
  put(repo + "/model.bin", std::string(3000, 'x'));  // as git-lfs checks it out
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  put(inside + "/a.txt", "changed\n");
  put(inside + "/new.bin", "new");
  put(inside + "/pointer.bin", pointer);
  sh("cd " + inside + " && git add -A && git -c user.name=a -c user.email=a@b commit -qm all");
  auto back = come_home(sent.base);
  EXPECT_EQ(differs(), "M\ta.txt\nA\tpointer.bin");
  EXPECT_EQ(git("show refs/bottle/s1/worktree:model.bin") + "\n", pointer);
  EXPECT_EQ(*read_file(root + "/results/s1/filtered/new.bin"), "new");
  EXPECT_FALSE(fs::exists(root + "/results/s1/filtered/model.bin"));
}

// A commit has only a pointer to such a file, so a file that is not in the working tree exists nowhere else.
TEST_F(ChangedFiles, ContentThatGitLfsKeepsInTheBottleIsReported) {
  const std::string known = "/.git/lfs/objects/aa/aa/" + std::string(64, 'a'),
                    made = "/.git/lfs/objects/bb/bb/" + std::string(64, 'b');
  put(repo + known, "known");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  put(inside + known, "known");
  auto back = come_home(sent.base);
  EXPECT_FALSE(back.is_incomplete) << joined(back.flagged, "\n");
  put(inside + made, "made");
  back = come_home(sent.base);
  EXPECT_TRUE(flagged(back, "files of git-lfs that you do not have"));
  EXPECT_TRUE(back.is_incomplete) << "the archive with them would not be kept";
}

TEST_F(ChangedFiles, TextInOtherEncodingsComesBackAsGitCommitsIt) {
  put(repo + "/.gitattributes", "*.rc text working-tree-encoding=UTF-16LE eol=crlf\n*.c ident\n*.bat text eol=crlf\n");
  sh("printf 'hello\\r\\nworld\\r\\n' | iconv -t UTF-16LE >" + repo + "/app.rc; printf 'a $Id$\\n' >" + repo +
     "/id.c; printf 'x\\r\\n' >" + repo + "/w.bat");
  commit_file("t.txt", "t\n");
  sh("cd " + repo + " && rm id.c && git checkout -q -- id.c");
  ASSERT_EQ(git("show HEAD:app.rc"), "hello\nworld");
  for (auto mode : {WorkspaceMode::clone, WorkspaceMode::copy}) {
    auto sent = pack(mode);
    EXPECT_EQ(joined(sent.warnings, "\n"), "");
    unpack();
    EXPECT_EQ(*read_file(inside + "/app.rc"), *read_file(repo + "/app.rc"));
    EXPECT_EQ(git("status --porcelain", inside), "");
    put(inside + "/t.txt", "agent's\n");
    come_home(sent.base);
    EXPECT_EQ(differs(), "M\tt.txt");
    sh("printf 'hello\\r\\nagent\\r\\n' | iconv -t UTF-16LE >" + inside + "/app.rc");
    auto back = come_home(sent.base);
    EXPECT_EQ(git("show refs/bottle/s1/worktree:app.rc"), "hello\nagent");
    EXPECT_EQ(joined(back.flagged, "\n"), "");
    sh("git clone -q " + repo + " " + root + "/other && cd " + root + "/other && git apply " + back.patch +
       " && iconv -f UTF-16LE app.rc | grep -q agent && rm -rf " + root + "/other");
  }
}

TEST_F(ChangedFiles, TextThatCannotBeConvertedComesBackAsItIs) {
  put(repo + "/.gitattributes", "*.rc working-tree-encoding=UTF-16LE\n");
  commit_file("t.txt", "t\n");
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  put(inside + "/app.rc", "odd");
  auto back = come_home(sent.base);
  EXPECT_EQ(differs(), "A\tapp.rc");
  EXPECT_EQ(git("show refs/bottle/s1/worktree:app.rc"), "odd");
  EXPECT_TRUE(flagged(back, "app.rc: bottle could not convert it from UTF-16LE"));
}

// git reads the rules by a path that is relative to the tree, so it reaches deeper than an absolute path.
TEST_F(ChangedFiles, RulesBelowAVeryDeepDirectoryAreFound) {
  Quarantine q;
  q.root = root + "/quarantine";
  fs::create_directories(q.tree());
  q.rules = *git::Directory::make(q.root + "/rules", {});
  q.filters = {"f"};
  std::string directory;
  UniqueFd at(::open(q.tree().c_str(), O_PATH | O_CLOEXEC));
  for (; directory.size() + 10 + q.tree().size() < 4096; directory += "directory/") {
    ASSERT_EQ(::mkdirat(at.get(), "directory", 0755), 0);
    at.reset(::openat(at.get(), "directory", O_PATH | O_CLOEXEC));
  }
  for (const auto& [name, text] : {std::pair{".gitattributes", "*.bin filter=f\n"}, {"a.bin", "x\n"}})
    ASSERT_TRUE(write_all(UniqueFd(::openat(at.get(), name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)).get(), text));
  auto filtered = prepare_files(q, *git::Runner::make(root), q.tree(), {directory + "a.bin"}, true);
  ASSERT_TRUE(filtered) << filtered.error().what;
  EXPECT_EQ(filtered->size(), 1u);
}

// bottle does not keep large files, and the operator's file has changed.
TEST_F(ChangedFiles, FilesWithoutTheirEarlierContentAreNamedAndInNoPatch) {
  const std::string large(2 << 20, 'x');
  for (bool has_git : {true, false}) {
    if (!has_git) fs::remove_all(repo + "/.git");
    put(repo + "/d/large", large);
    put(repo + "/a.txt", "one\n");
    auto sent = pack(WorkspaceMode::copy);
    put(repo + "/d/large", "the operator's\n");
    for (const std::string& what : {"rm", "echo agent >", "rm -r", "rm -rf d && echo agent >"}) {
      SCOPED_TRACE(what);
      std::string path = what.starts_with("rm -r") ? "d" : "d/large";
      unpack();
      sh("cd " + inside + " && " + what + " " + path);
      if (what == "rm") EXPECT_EQ(come_home(sent.base).patch, "") << "nothing else has changed";
      put(repo + "/a.txt", "one\n");
      put(inside + "/a.txt", "one\n" + what + "\n");
      auto back = come_home(sent.base);
      EXPECT_FALSE(back.text.contains("Nothing changed")) << back.text;
      EXPECT_TRUE(back.text.contains("no longer knows") && back.text.contains("d/large")) << back.text;
      auto applied = apply({{repo, back.patch}}, root + "/scratch");
      ASSERT_TRUE(applied) << applied.error().what;
      EXPECT_EQ(*read_file(repo + "/a.txt"), *read_file(inside + "/a.txt"));
      EXPECT_EQ(*read_file(repo + "/d/large"), "the operator's\n");
      if (what.ends_with(">")) EXPECT_EQ(*read_file(root + "/results/s1/filtered/" + path), "agent\n") << back.text;
    }
  }
}

TEST_F(ChangedFiles, AHardLinkInThePlaceOfATrackedFileIsAChangeOfIt) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  sh("ln -f " + inside + "/dir/b.txt " + inside + "/a.txt");
  auto back = come_home(sent.base);
  EXPECT_EQ(back.text.find("no longer knows"), std::string::npos) << back.text;
  auto applied = apply({{repo, back.patch}}, root + "/scratch");
  ASSERT_TRUE(applied) << applied.error().what;
  EXPECT_EQ(*read_file(repo + "/a.txt"), "two\n");
}

TEST_F(ChangedFiles, AHardLinkToAFileWithoutItsContentIsInTheArchive) {
  put(repo + "/large", std::string(2 << 20, 'x'));
  auto sent = pack(WorkspaceMode::copy);
  put(repo + "/large", "the operator's\n");
  unpack();
  fs::create_hard_link(inside + "/large", inside + "/other");
  run({"tar", "--sort=name", "-C", root + "/inside", "-cf", root + "/in.tar", "workspace"});
  auto back = take(*read_file(root + "/in.tar"), sent.base);
  EXPECT_TRUE(flagged(*back, "a hard link to a file whose content bottle does not keep"));
  EXPECT_TRUE(back->is_incomplete) << "the archive with it would not be kept";
}

TEST_F(ChangedFiles, OverwrittenChangesOfTheOperatorAreReportedOnTheRef) {
  put(repo + "/a.txt", std::string(2 << 20, 'x'));
  auto sent = pack(WorkspaceMode::copy);
  put(repo + "/a.txt", "the operator's\n");
  unpack();
  put(inside + "/a.txt", "the operator's old changes and the agent's\n");
  auto back = come_home(sent.base);
  EXPECT_EQ(differs(), "M\ta.txt");
  EXPECT_NE(back.text.find("Your own changes in a.txt are on the ref"), std::string::npos) << back.text;
  EXPECT_EQ(back.text.find("git merge"), std::string::npos) << back.text;
}

TEST_F(ChangedFiles, FilesThatTheOperatorIgnoresStayIgnored) {
  put(root + "/ignore", ".env.local\n");
  set_operators_settings("[core]\n\texcludesFile = " + root +
                         "/ignore\n[user]\n\tname = Op\n\temail = op@example.org\n");
  put(repo + "/.git/info/exclude", ".venv\n");
  put(repo + "/.env.local", "secret\n");
  put(repo + "/.venv/lib.py", "lib\n");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  // What put_git_settings() writes into the agent's home.
  std::string home;
  docker::TarWriter tar(sink_to(home));
  ASSERT_TRUE(put_git_settings(tar, {.mode = WorkspaceMode::copy, .source = repo, .scratch = root, .home = "h/"},
                               git::read_operators_configuration()));
  ASSERT_TRUE(tar.finish());
  std::ofstream(root + "/home.tar", std::ios::binary) << home;
  sh("mkdir -p " + root + "/agent && tar -C " + root + "/agent -xf " + root + "/home.tar");
  put(inside + "/.venv/lib.py", "agent's\n");
  put(inside + "/new.txt", "new\n");
  sh("cd " + inside + " && export HOME=" + root +
     "/agent/h && unset XDG_CONFIG_HOME GIT_CONFIG_GLOBAL && git add -A && git commit -qm all");
  EXPECT_EQ(git("log -1 --format='%an <%ae>'", inside), "Op <op@example.org>");
  auto back = come_home(sent.base);
  EXPECT_EQ(differs(), "A\tnew.txt");
  EXPECT_EQ(back.ignored, std::vector<std::string>{".venv/"});
}

// git refuses to say whether it ignores a path below a link.
TEST_F(ChangedFiles, ALinkMayReplaceADirectoryWithUncommittedFiles) {
  commit_file(".gitignore", "ignored\n");
  for (const std::string name : {"ignored", "d"}) {
    put(repo + "/" + name + "/sub/unt", "untracked\n");
    auto sent = pack(WorkspaceMode::copy);
    unpack();
    fs::remove_all(inside + "/" + name);
    fs::create_symlink("dir", inside + "/" + name);
    auto back = take_inside(sent.base);
    ASSERT_TRUE(back) << back.error().what;
    bool ignored = name == "ignored";
    EXPECT_EQ(back->files, ignored ? 0u : 2u) << back->text;
    EXPECT_EQ(back->text.find("The agent removed 1 file that git ignores.") != std::string::npos, ignored)
        << back->text;
    if (ignored) continue;
    EXPECT_EQ(differs(), "A\td");
    auto applied = apply({{repo, back->patch}}, root + "/scratch");
    ASSERT_TRUE(applied) << applied.error().what;
    EXPECT_EQ(fs::read_symlink(repo + "/d"), "dir");
  }
}

TEST_F(ChangedFiles, WithoutThePatchAndTheRefTheArchiveIsKept) {
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  put(inside + "/lines", std::string(60000, '\n'));
  for (uint64_t most : {1u << 28, 100'000u}) {
    // git refuses such a name.
    put(inside + "/.gitmodules", "[submodule \"../" + std::to_string(most) + "\"]\n\tpath = x\n\turl = y\n");
    run({"tar", "--format=pax", "-C", root + "/inside", "--exclude=.git", "-cf", root + "/in.tar", "workspace"});
    auto back = take(*read_file(root + "/in.tar"), sent.base, "", most);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_TRUE(back->refs.empty()) << refs();
    EXPECT_TRUE(flagged(*back, "they did not pass git's checks"));
    EXPECT_EQ(bool(flagged(*back, "only in the patch")), !back->patch.empty());
    EXPECT_EQ(back->is_incomplete, back->patch.empty()) << back->text;
    EXPECT_EQ(back->patch.empty(), most == 100'000u);
  }
}

}  // namespace
}  // namespace bottle::workspace
