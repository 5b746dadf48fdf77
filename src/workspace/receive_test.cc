// Tests that what comes back is quarantined and compared, and that nothing else happens.
#include "git/objects.h"
#include "workspace/workspace_test.h"

namespace bottle::workspace {
namespace {

TEST_F(Workspace, WithoutChangesNothingComesBack) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_TRUE(back->refs.empty());
  EXPECT_EQ(back->patch, "");
  EXPECT_EQ(back->text, "Nothing changed in the workspace.\n");
  EXPECT_EQ(sh("ls -A " + root + "/results/s1"), "") << "no repository is listed as changed";
}

TEST_F(Workspace, NoRepositoryGivesAPatchAndFiles) {
  put(repo + "/a.txt", "one\n");
  put(repo + "/keep/b.txt", "two\n");
  auto sent = pack(manifest::WorkspaceMode::clone);
  EXPECT_EQ(sent.base, "");
  EXPECT_EQ(sent.warnings.size(), 1u);
  unpack();
  put(inside + "/a.txt", "changed\n");
  put(inside + "/n/new.sh", "#!/bin/sh\n");
  fs::permissions(inside + "/n/new.sh", fs::perms(0755));
  auto back = take_inside("");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->files, 2u);
  EXPECT_TRUE(back->refs.empty());
  EXPECT_EQ(*read_file(root + "/results/s1/files/a.txt"), "changed\n");
  EXPECT_FALSE(fs::exists(root + "/results/s1/files/keep"));
  EXPECT_EQ(*read_file(repo + "/a.txt"), "one\n");
  EXPECT_FALSE(fs::exists(repo + "/.git"));
  sh("cd " + repo + " && git apply " + back->patch + " && test -x n/new.sh && grep -q changed a.txt");
}

TEST_F(Workspace, WithoutARepositoryThePatchShowsTheContentOfTheFiles) {
  put(repo + "/a.txt", "one\n");
  pack(manifest::WorkspaceMode::clone);
  unpack();
  put(inside + "/build.sh", "evil\n");
  // This object has the name of that content and different content. git does not check the hash when it shows an
  // object.
  sh("cd " + inside +
     " && rm -rf .git && git init -q && id=$(git hash-object build.sh) && good=$(echo good | git hash-object -w "
     "--stdin) && mkdir -p .git/objects/${id%${id#??}} && "
     "cp .git/objects/${good%${good#??}}/${good#??} .git/objects/${id%${id#??}}/${id#??} && "
     "[ $(git cat-file blob $id) = good ]");
  auto back = take_inside("");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_NE(read_file(back->patch)->find("+evil"), std::string::npos) << *read_file(back->patch);
  EXPECT_EQ(*read_file(root + "/results/s1/files/build.sh"), "evil\n");
}

TEST_F(Workspace, HostilePathsStayInside) {
  make_repository();
  std::string base = git("rev-parse HEAD"), before = state();
  put(root + "/victim/file", "safe");
  auto bytes = craft([&](docker::TarWriter& t) {
    EXPECT_TRUE(t.file("workspace/../../../../victim/file", 0644, 0, 0, "owned"));
    EXPECT_TRUE(t.file("/" + root + "/victim/abs", 0644, 0, 0, "owned"));
    EXPECT_TRUE(t.file("elsewhere/x", 0644, 0, 0, "owned"));
    EXPECT_TRUE(t.symlink("workspace/link", root + "/victim", 0, 0));
    EXPECT_TRUE(t.file("workspace/link/file", 0644, 0, 0, "owned"));
    EXPECT_TRUE(t.symlink("workspace/plain", root + "/victim/file", 0, 0));
    EXPECT_TRUE(t.file("workspace/plain", 0644, 0, 0, "agent's"));
    EXPECT_TRUE(t.symlink("workspace/up", "../..", 0, 0));
    EXPECT_TRUE(t.file("workspace/" + std::string(300, 'n'), 0644, 0, 0, "x"));
    EXPECT_TRUE(t.file("workspace/" + std::string(5000, '/') + "deep", 0644, 0, 0, "x"));
    EXPECT_TRUE(t.file("workspace/a.txt", 0644, 0, 0, "one\n"));
    EXPECT_TRUE(t.file("workspace/dir/b.txt", 0644, 0, 0, "two\n"));
    EXPECT_TRUE(t.file("workspace/dir", 0644, 0, 0, "a file where a directory is"));
    EXPECT_TRUE(t.file("workspace/\x1b]0;evil\x07.mcp.json/.mcp.json", 0644, 0, 0, "{}"));
  });
  auto back = take(bytes, base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(*read_file(root + "/victim/file"), "safe");
  EXPECT_EQ(sh("ls " + root + "/victim"), "file");
  EXPECT_TRUE(flagged(*back, "up → ../.."));
  EXPECT_EQ(git("show refs/bottle/s1/worktree:plain"), "agent's");
  EXPECT_EQ(git("ls-tree refs/bottle/s1/worktree up"), "");
  EXPECT_EQ(back->text.find('\x1b'), std::string::npos);
  EXPECT_GE(back->skipped, 6u);
  EXPECT_EQ(state(), before);
}

TEST_F(Workspace, AHostileGitDirectoryRunsNothing) {
  make_repository();
  put(repo + "/.npmrc", "ignore-scripts=true\n");
  git("add -A"), git("commit -qm settings");
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  fs::remove(inside + "/.npmrc");
  std::string mark = root + "/executed";
  put(inside + "/.git/hooks/post-checkout", "#!/bin/sh\ntouch " + mark + "\n");
  fs::permissions(inside + "/.git/hooks/post-checkout", fs::perms(0755));
  put(inside + "/.git/objects/info/alternates", "/nowhere/objects\n");
  put(inside + "/.gitattributes", "* filter=evil diff=evil merge=evil\n*.txt working-tree-encoding=UTF-999\n");
  sh("printf '[filter \"evil\"]\\nclean = touch " + mark + "\\nsmudge = touch " + mark +
     "\\nrequired = true\\n[diff \"evil\"]\\ntextconv = touch " + mark + "\\ncommand = touch " + mark +
     "\\n[core]\\nfsmonitor = touch " + mark + "\\nhooksPath = hooks\\n[uploadpack]\\npackObjectsHook = touch " + mark +
     "\\n' >> " + inside + "/.git/config");
  put(inside + "/a.txt", "new\n");
  put(inside + "/.envrc", "evil\n");
  put(inside + "/sub/.claude/settings.local.json", "{}");
  put(inside + "/package.json", R"({"scripts":{"postinstall":"evil"}})");
  put(inside + "/nested/.git/config", "[core]\n");
  put(inside + "/.git/refs/heads/--upload-pack=evil", sent.base + "\n");
  put(inside + "/.git/refs/heads/ghost", std::string(40, 'a') + "\n");
  fs::create_symlink("/etc/passwd", inside + "/.git/refs/heads/link");
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_FALSE(fs::exists(mark));
  for (const char* what : {".git/hooks/post-checkout", "alternates", ".envrc", ".claude/settings.local.json",
                           "package.json", ".npmrc: removed", ".gitattributes", "nested/.git", "ghost"})
    EXPECT_TRUE(flagged(*back, what)) << what << "\n" << back->text;
  EXPECT_EQ(back->refs, (std::vector<std::string>{"refs/bottle/s1/encoded/heads/=2D-upload-pack=3Devil",
                                                  "refs/bottle/s1/worktree"}));
  EXPECT_EQ(git("show refs/bottle/s1/worktree:a.txt"), "new");
  EXPECT_EQ(git("status --porcelain"), "");
}

TEST_F(Workspace, LinksThatGiveFilesDangerousNamesAreFound) {
  make_repository();
  fs::create_directory_symlink("dir", repo + "/.vscode");
  git("add -A"), git("commit -qm link");
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  put(inside + "/dir/tasks.json", "{}");
  fs::create_directory(inside + "/sub");
  fs::create_symlink("../a.txt", inside + "/sub/.envrc");
  put(inside + "/p/package.json", R"({"scripts": {"pre\u0069nstall": "evil"}})");
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  for (const char* what :
       {"dir/tasks.json (by the link .vscode): ", "sub/.envrc", "p/package.json: npm runs its scripts"})
    EXPECT_TRUE(flagged(*back, what)) << what;
}

TEST_F(Workspace, EveryBranchIsInspected) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  std::string branches;  // for git fast-import, because three processes for each branch take seconds
  auto file = [](const std::string& name, const std::string& text) {
    return "M 100644 inline " + name + "\ndata " + std::to_string(text.size()) + "\n" + text + "\n";
  };
  for (int i = 0; i < 40; ++i) {
    branches += "commit refs/heads/b" + std::to_string(i) + "\ncommitter t <t@t> 1700000000 +0000\ndata 2\nx\n\nfrom " +
                (i == 0 ? "refs/heads/main^0" : "refs/heads/b" + std::to_string(i - 1)) + "\n" +
                file("file", std::to_string(i)) + (i == 39 ? file(".envrc", "evil") : "") + "\n";
  }
  put(root + "/branches", branches);
  git("fast-import --quiet <" + root + "/branches", inside);
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_TRUE(flagged(*back, ".envrc [branch b39]"));
  EXPECT_FALSE(flagged(*back, "not checked"));
}

TEST_F(Workspace, TheOperatorsOwnHooksAreNotReported) {
  make_repository();
  put(repo + "/.git/hooks/pre-commit", "#!/bin/sh\nmake lint\n");
  fs::create_symlink("pre-commit", repo + "/.git/hooks/pre-push");
  put(repo + "/vendored/.git/config", "[core]\n");
  auto sent = pack(manifest::WorkspaceMode::copy);
  unpack();
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(joined(back->flagged, "\n"), "");
  EXPECT_EQ(back->skipped, 0u);
  put(inside + "/.git/hooks/pre-commit", "#!/bin/sh\nmake evil\n");
  back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_TRUE(flagged(*back, ".git/hooks/pre-commit: not brought home, because it is a hook"));
  EXPECT_FALSE(flagged(*back, "pre-push"));
}

TEST_F(Workspace, ObjectsThatFailGitsChecksAreLeftBehind) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  // This commit's tree contains ".git/config", which a merge would write into the operator's repository.
  std::string evil =
      sh("cd " + inside +
         " && b=$(echo x | git hash-object -w --stdin) && t=$(printf '100644 blob %s\\tconfig\\n' $b | git mktree) && "
         "u=$(printf '040000 tree %s\\t.git\\n' $t | git mktree) && git -c user.name=t -c user.email=t@t commit-tree "
         "$u -p HEAD -m evil");
  git("update-ref refs/heads/evil " + evil, inside);
  git("symbolic-ref HEAD refs/heads/evil", inside);
  put(inside + "/good.txt", "g\n");
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_TRUE(flagged(*back, "refs/heads/evil"));
  EXPECT_EQ(back->refs, (std::vector<std::string>{"refs/bottle/s1/worktree"}));
  EXPECT_EQ(git("show refs/bottle/s1/worktree:good.txt"), "g");
}

// Nested trees that are tiny to send and make an endless list of files.
constexpr const char* kTreeBomb =
    "t=$(git rev-parse HEAD^{tree}); for level in 1 2 3 4 5 6 7; do t=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf "
    "'040000 tree %s\\t%s\\n' $t $i; done | git mktree); done; "
    "git -c user.name=t -c user.email=t@t commit-tree $t -p HEAD -m bomb";

TEST_F(Workspace, AnEndlessListOfFilesIsNotReadToItsEnd) {
  make_repository();
  std::string bomb = sh("cd " + repo + " && " + kTreeBomb);
  auto view = git::Directory::make(root + "/view", {.alternates = {repo + "/.git/objects"}});
  ASSERT_TRUE(view) << view.error().what;
  auto list = git::list_tree(*git::Runner::make(root, {.answer = 1 << 20}), bomb, {.in = *view});
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().code, Code::limit);
  EXPECT_EQ(list.error().what, "ls-tree: git wrote more than 1 MB");
}

// git keeps a whole list of changes in memory, and a whole commit too. This commit unpacks from 50 kB to 10 MB. It
// comes loose and in a pack.
TEST_F(Workspace, ObjectsThatUnpackToAHugeSizeAreNotUnpacked) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::clone);
  limits.max_memory = 8 << 20;
  const std::string wordy =
      "{ git cat-file commit HEAD; head -c 10M /dev/zero | tr '\\0' x; } | git -c core.compression=1 hash-object -t "
      "commit -w --stdin";
  const std::string repack = "git repack -adq";  // after the one before it
  for (const std::string& command : {"git update-ref refs/heads/bomb $(" + std::string(kTreeBomb) + ")",
                                     "git update-ref refs/heads/bomb $(" + wordy + ")", repack}) {
    if (command != repack) unpack();
    sh("cd " + inside + " && " + command);
    auto back = take_inside(sent.base);
    ASSERT_FALSE(back) << back->text;
    EXPECT_EQ(back.error().code, Code::limit);
    EXPECT_TRUE(back.error().what.ends_with("git needs more than 8 MB of memory")) << back.error().what;
    EXPECT_EQ(git("for-each-ref refs/bottle"), "");
    EXPECT_TRUE(fs::is_empty(root + "/scratch"));
  }
}

TEST_F(Workspace, WithoutItsGitDirectoryTheFilesStillComeBack) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  fs::remove_all(inside + "/.git");
  put(inside + "/a.txt", "new\n");
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->files, 1u);
  EXPECT_EQ(git("rev-parse refs/bottle/s1/worktree^"), sent.base);
}

TEST_F(Workspace, IgnoredFilesStayBehind) {
  make_repository();
  put(repo + "/.gitignore", "node_modules/\n");
  git("add -A");
  git("commit -qm ignore");
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  put(inside + "/node_modules/x/index.js", "x");
  put(inside + "/b.txt", "b");
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->files, 1u);
  EXPECT_FALSE(back->is_incomplete) << "a small copy costs less than the archive of the whole workspace";
  EXPECT_EQ(read_file(root + "/results/s1/ignored/node_modules/x/index.js").value_or("none"), "x");
  fs::remove_all(inside + "/node_modules");
  ASSERT_TRUE(take_inside(sent.base));
  EXPECT_FALSE(fs::exists(root + "/results/s1/ignored"));
}

TEST_F(Workspace, LimitsAreEnforcedAndBrokenArchivesRefused) {
  make_repository();
  std::string base = git("rev-parse HEAD");
  auto big =
      craft([&](docker::TarWriter& t) { EXPECT_TRUE(t.file("workspace/big", 0644, 0, 0, std::string(100000, 'x'))); });
  auto many = craft([&](docker::TarWriter& t) {
    for (int i = 0; i < 10001; ++i) EXPECT_TRUE(t.directory("workspace/d", 0755, 0, 0));
  });
  EXPECT_EQ(take(many, base).error().code, Code::limit);
  auto links = craft([&](docker::TarWriter& t) {
    for (int i = 0; i < 30; ++i)
      EXPECT_TRUE(t.symlink("workspace/l" + std::to_string(i), std::string(4000, 'x'), 0, 0));
  });
  EXPECT_EQ(take(links, base, "", 100000).error().code, Code::limit);
  auto empty = craft([&](docker::TarWriter& t) {
    for (int i = 0; i < 300; ++i) EXPECT_TRUE(t.file("workspace/e" + std::to_string(i), 0644, 0, 0, ""));
  });
  EXPECT_EQ(take(empty, base, "", 100000).error().code, Code::limit);
  limits.max_held = 50000;
  EXPECT_EQ(take(links, base).error().code, Code::limit);
  auto deep = craft([&](docker::TarWriter& t) {
    for (int i = 0; i < 5; ++i) {
      std::string path = "workspace/" + std::to_string(i);
      for (int level = 0; level < 240; ++level) path += "/d";
      EXPECT_TRUE(t.file(path, 0644, 0, 0, ""));
    }
  });
  limits.max_entries = 500;
  EXPECT_EQ(take(deep, base).error().code, Code::limit);
  EXPECT_EQ(take(big.substr(0, 3000), base).error().code, Code::closed);
  std::string bad = big;
  bad[600] ^= 1;
  EXPECT_EQ(take(bad, base).error().code, Code::protocol);
  EXPECT_EQ(sh("ls -A " + root + "/results/s1"), "");
  EXPECT_EQ(git("for-each-ref refs/bottle"), "");
}

TEST_F(Workspace, OfSeveralEntriesForOnePathTheLastCounts) {
  make_repository();
  std::string base = git("rev-parse HEAD");
  auto bytes = craft([&](docker::TarWriter& t) {
    EXPECT_TRUE(t.file("workspace/a.txt", 0644, 0, 0, "changed\n"));
    EXPECT_TRUE(t.file("workspace/a.txt", 0644, 0, 0, "one\n"));
    EXPECT_TRUE(t.file("workspace/dir/b.txt", 0644, 0, 0, "two\n"));
    EXPECT_TRUE(t.file("workspace/dir/b.txt", 0644, 0, 0, "changed\n"));
    EXPECT_TRUE(t.file("workspace/link", 0644, 0, 0, "a file\n"));
    EXPECT_TRUE(t.symlink("workspace/link", "a.txt", 0, 0));
    EXPECT_TRUE(t.symlink("workspace/file", "a.txt", 0, 0));
    EXPECT_TRUE(t.file("workspace/file", 0644, 0, 0, "a file\n"));
  });
  auto back = take(bytes, base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->skipped, 0u);
  EXPECT_EQ(git("show refs/bottle/s1/worktree:a.txt"), "one");
  EXPECT_EQ(git("show refs/bottle/s1/worktree:dir/b.txt"), "changed");
  EXPECT_EQ(git("show refs/bottle/s1/worktree:link"), "a.txt");
  EXPECT_EQ(git("show refs/bottle/s1/worktree:file"), "a file");
}

TEST_F(Workspace, ThePatchIsNotLargerThanTheLimitForTheWorkspace) {
  make_repository();
  std::string base = git("rev-parse HEAD");
  auto lines = craft([&](docker::TarWriter& t) {
    EXPECT_TRUE(t.file("workspace/lines", 0644, 0, 0, std::string(60000, '\n')));
  });  // a sign before each line
  auto back = take(lines, base, "", 100000);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->patch, "");
  EXPECT_TRUE(flagged(*back, "the patch: it could not be made: diff-tree: git writes more than 0 MB"));
  EXPECT_EQ(back->refs, (std::vector<std::string>{"refs/bottle/s1/worktree"}));
  EXPECT_NE(back->text.find("git merge refs/bottle/s1/worktree"), std::string::npos);
  EXPECT_EQ(sh("ls -A " + root + "/results/s1"), "places.json");
  EXPECT_FALSE(back->is_incomplete) << "the ref has all of it";
}

TEST_F(Workspace, WithoutThePatchTheArchiveIsKeptIfNothingElseHasAllOfTheWork) {
  put(repo + "/gone", "gone\n");
  pack(manifest::WorkspaceMode::copy);
  unpack();
  sh("cd " + inside + " && rm gone && ln -s large link && head -c 9M /dev/urandom >large");
  limits.max_memory = 16 << 20;  // git needs the file twice
  auto back = take_inside("");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_TRUE(flagged(*back, "the patch: it could not be made: "));
  EXPECT_TRUE(back->is_incomplete);
  EXPECT_EQ(back->text.find("in the patch only"), std::string::npos) << back->text;
  EXPECT_NE(back->text.find("did not come home: gone, link\n"), std::string::npos) << back->text;
}

TEST_F(Workspace, KeptFilesAreThoseOfTheNewestPullWithinTheLimit) {
  put(repo + "/a", "a\n");
  auto once = craft([&](docker::TarWriter& t) { EXPECT_TRUE(t.file("workspace/first", 0644, 0, 0, "x")); });
  ASSERT_TRUE(take(once, ""));
  sh("mkdir -p " + root + "/inside/workspace && cd " + root +
     "/inside/workspace && head -c 20000 /dev/zero >0 && for i in 1 2 3 4 5 6 7 8 9; do ln 0 $i; done && tar -C .. -cf "
     "../../in.tar workspace");
  auto names = *read_file(root + "/in.tar");
  EXPECT_EQ(take(names, "", "", 100000).error().code, Code::limit);
  EXPECT_EQ(sh("ls -d " + root + "/results/s1/files*/*"), root + "/results/s1/files/first");
  ASSERT_TRUE(take(names, "", "", 1 << 20));
  EXPECT_EQ(sh("cd " + root + "/results/s1/files && echo *"), "0 1 2 3 4 5 6 7 8 9");
}

TEST_F(Workspace, RefsOfRemovedBranchesAreRemoved) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  auto commit = [&](const std::string& branch) {
    git("checkout -q " + branch, inside), git("commit -q --allow-empty -m more", inside);
  };
  auto heads = [&] {
    return git("for-each-ref --format='%(refname:lstrip=3)' refs/bottle/s1/heads refs/bottle/s2/heads");
  };
  commit("-b topic");
  commit("-b other");
  git("update-ref refs/bottle/s2/heads/not-ours HEAD");
  ASSERT_TRUE(take_inside(sent.base));
  EXPECT_EQ(heads(), "heads/other\nheads/topic\nheads/not-ours");
  git("branch -m topic topic/renamed", inside);
  git("checkout -q main", inside);
  // The commits of a removed branch are kept under a separate name.
  const std::string kept = "heads/bottle-detached-" + git("rev-parse --short=12 other", inside);
  git("branch -D other", inside);
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(heads(), kept + "\nheads/topic/renamed\nheads/not-ours");
  fs::remove_all(inside + "/.git");  // by accident; the operator's repository now has the only copy of its commits
  ASSERT_TRUE(take_inside(sent.base));
  EXPECT_EQ(heads(), kept + "\nheads/topic/renamed\nheads/not-ours");
}

TEST_F(Workspace, SeveralPullsShareOneLimitForTheRepository) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  uint64_t room = 50000;
  limits.room = &room;
  sh("head -c 30000 /dev/urandom >" + inside + "/noise");
  ASSERT_TRUE(take_inside(sent.base));
  EXPECT_LT(room, 20000u);
  uint64_t left = room;
  // The second run may fall into the next second; then it makes another commit, in a pack with an index.
  ASSERT_TRUE(take_inside(sent.base));
  EXPECT_GT(room, left - 5000);
  sh("head -c 30000 /dev/urandom >" + inside + "/noise");
  for (int i = 0; i < 2; ++i) {
    auto back = take_inside(sent.base);
    ASSERT_FALSE(back);
    EXPECT_EQ(back.error().code, Code::limit);
    EXPECT_EQ(room, 0u);
  }
  limits.room = nullptr;
  EXPECT_TRUE(take_inside(sent.base));
}

TEST_F(Workspace, SortingHasATimeLimit) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  put(inside + "/a.txt", "changed\n");
  limits.max_time = std::chrono::seconds(0);
  auto back = take_inside(sent.base);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, Code::timed_out) << back.error().what;
}

// Unchanged files are not written on the way back. The result must be the same as if they were.
TEST_F(Workspace, UnchangedFilesComeBackUnchanged) {
  make_repository();
  for (int i = 0; i < 300; ++i) put(repo + "/many/" + std::to_string(i), "content " + std::to_string(i) + "\n");
  put(repo + "/gone", "gone\n");
  put(repo + "/renamed", "renamed\n");
  put(repo + "/mode", "mode\n");
  put(repo + "/becomes-link", "l\n");
  put(repo + "/becomes-directory", "d\n");
  put(repo + "/untracked", "was tracked\n");
  put(repo + "/ignored", "was tracked\n");
  git("add -A");
  git("commit -qm all");
  for (auto mode : {manifest::WorkspaceMode::clone, manifest::WorkspaceMode::copy}) {
    auto sent = pack(mode);
    unpack();
    sh("cd " + inside +
       " && echo new > new && echo more >> a.txt && rm gone && mv renamed many/renamed && chmod +x mode && ln many/7 "
       "many/again && "
       "rm becomes-link && ln -s a.txt becomes-link && rm becomes-directory && mkdir becomes-directory && echo x > "
       "becomes-directory/x && "
       "git rm -q --cached untracked ignored && echo ignored > .gitignore && git add .gitignore && git -c user.name=a "
       "-c user.email=a@a commit -qm less");
    std::string before = state();
    auto back = take_inside(sent.base);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(state(), before);
    EXPECT_EQ(git("diff --name-status --no-renames " + sent.base + " refs/bottle/s1/worktree"),
              "A\t.gitignore\nM\ta.txt\nD\tbecomes-directory\nA\tbecomes-directory/"
              "x\nT\tbecomes-link\nD\tgone\nD\tignored\nA\tmany/again\nA\tmany/renamed\n"
              "M\tmode\nA\tnew\nD\trenamed");
    EXPECT_EQ(git("show refs/bottle/s1/worktree:many/again"), "content 7");
    sh("git clone -q " + repo + " " + root + "/applied && cd " + root + "/applied && git apply " + back->patch);
    fs::remove_all(root + "/applied");
    git("update-ref -d refs/bottle/s1/worktree");
    EXPECT_TRUE(fs::is_empty(root + "/scratch"));
  }
}

TEST_F(Workspace, AHardLinkToAnUnchangedFileComesBackWithoutARepositoryToo) {
  put(repo + "/a", "a\n");
  put(repo + "/b", "b\n");
  pack(manifest::WorkspaceMode::copy);
  unpack();
  sh("cd " + inside + " && ln a z && echo c > b");
  auto back = take_inside("");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->files, 2u);
  EXPECT_EQ(*read_file(root + "/results/s1/files/z"), "a\n");
  EXPECT_EQ(*read_file(root + "/results/s1/files/b"), "c\n");
  EXPECT_FALSE(fs::exists(root + "/results/s1/files/a"));
}

}  // namespace
}  // namespace bottle::workspace
