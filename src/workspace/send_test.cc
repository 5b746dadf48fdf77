// Tests what goes into a bottle: clones and copies must be as git and a checkout would make them.
#include <regex>
#include <set>

#include "base/files/unreadable_test.h"
#include "workspace/workspace_test.h"

namespace bottle::workspace {
namespace {

TEST_F(Workspace, ACloneIsSentAndCommitsComeBack) {
  make_repository();
  git("remote add origin https://user:secret@example.org/x.git");
  put(repo + "/dirty.txt", "mine");
  std::string before = state();
  auto sent = pack(manifest::WorkspaceMode::clone);
  EXPECT_EQ(sent.base, git("rev-parse HEAD"));
  ASSERT_EQ(sent.warnings.size(), 1u);
  unpack();
  EXPECT_FALSE(fs::exists(inside + "/dirty.txt"));
  EXPECT_EQ(git("remote", inside), "");
  EXPECT_EQ(sh("grep -c secret " + inside + "/.git/config || true"), "0");
  EXPECT_EQ(git("status --porcelain", inside), "");
  EXPECT_FALSE(fs::exists(inside + "/.git/hooks"));

  put(inside + "/a.txt", "one\nmore\n");
  git("commit -qam second", inside);
  git("checkout -qb feature/x", inside);
  put(inside + "/c.txt", "c\n");
  git("add c.txt", inside);
  git("commit -qm third", inside);
  put(inside + "/untracked.txt", "u\n");
  put(inside + "/bin.dat", std::string("\0\1\2\n", 4));
  fs::remove(inside + "/dir/b.txt");
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->refs, (std::vector<std::string>{"refs/bottle/s1/heads/feature/x", "refs/bottle/s1/heads/main",
                                                  "refs/bottle/s1/worktree"}));
  EXPECT_EQ(back->commits, 2u);
  EXPECT_EQ(back->files, 5u);
  EXPECT_TRUE(back->flagged.empty()) << back->text;
  EXPECT_EQ(state(), before);
  EXPECT_EQ(git("show refs/bottle/s1/worktree:untracked.txt"), "u");
  EXPECT_EQ(git("rev-parse refs/bottle/s1/worktree^"), git("rev-parse refs/bottle/s1/heads/feature/x"));
  EXPECT_EQ(git("ls-tree -r --name-only refs/bottle/s1/worktree | tr '\\n' ' '"), "a.txt bin.dat c.txt untracked.txt ");
  EXPECT_NE(back->text.find("git merge refs/bottle/s1/worktree"), std::string::npos);
  // The patch alone must give the same tree.
  sh("git clone -q " + repo + " " + root + "/other");
  git("apply --index " + back->patch, root + "/other");
  EXPECT_EQ(git("write-tree", root + "/other"), git("rev-parse refs/bottle/s1/worktree^{tree}"));
  EXPECT_EQ(sh("ls -A " + root + "/results/s1"), "changes.patch\nplaces.json");
  git("fsck --strict");
}

// With a lock of the operator's git, the agent could not commit.
TEST_F(Workspace, ACopyHasNoLocksOfGit) {
  make_repository();
  for (const char* path : {"/.git/index.lock", "/.git/refs/heads/main.lock", "/yarn.lock"}) put(repo + path, "");
  make_inner(repo + "/inner");
  put(repo + "/inner/.git/HEAD.lock", "");
  pack(manifest::WorkspaceMode::copy);
  unpack();
  EXPECT_EQ(sh("cd " + inside + " && find . -name '*.lock'"), "./yarn.lock");
  git("add yarn.lock", inside);
  git("commit -qm locked", inside);
}

TEST_F(Workspace, TheCloneCommitsAsTheOperatorDoes) {
  make_repository();
  configure("user.name", "Ada L.");
  configure("user.email", "first@example.org");
  git("config --add user.email ada@example.org");
  git("remote add origin /nowhere");
  pack(manifest::WorkspaceMode::clone);
  unpack();
  EXPECT_EQ(sh("git config --file " + inside + "/.git/config user.name"), "Ada L.");
  EXPECT_EQ(sh("git config --file " + inside + "/.git/config user.email"), "ada@example.org");
  EXPECT_EQ(sh("git -C " + inside + " remote"), "");
}

TEST_F(Workspace, StartsNoMoreGitsThanItNeeds) {
  make_repository();
  set_operators_settings("");
  std::string path = std::getenv("PATH");
  put(root + "/bin/git", "#!/bin/sh\necho \"$*\" >>" + root + "/asked\nPATH='" + path + "' exec git \"$@\"\n");
  fs::permissions(root + "/bin/git", fs::perms::owner_all);
  auto asked = [&](const std::function<void()>& act) {
    put(root + "/asked", "");
    ::setenv("PATH", (root + "/bin:" + path).c_str(), 1);
    act();
    ::setenv("PATH", path.c_str(), 1);
    const std::regex verb(" (config|status|[a-z]+-[a-z]+(-[a-z]+)?)( |$)");
    std::multiset<std::string> verbs;
    std::ifstream lines(root + "/asked");
    for (std::string line; std::getline(lines, line);)
      if (std::smatch match; std::regex_search(line, match, verb)) verbs.insert(match.str());
    return joined(std::vector<std::string>(verbs.begin(), verbs.end()), "");
  };
  auto times = [&](const std::string& words) {
    const std::regex pattern(words);
    size_t count = 0;
    std::ifstream lines(root + "/asked");
    for (std::string line; std::getline(lines, line);) count += std::regex_search(line, pattern);
    return std::to_string(count);
  };
  Summary sent;
  EXPECT_EQ(asked([&] { sent = pack(manifest::WorkspaceMode::clone); }), " config  pack-objects  read-tree  status ");
  EXPECT_EQ(times("core.fsync=none"), "3") << "what is made only to be sent need not survive a crash of the machine";
  unpack();
  git("commit -q --allow-empty -m more", inside);
  put(inside + "/new.txt", "new\n");
  EXPECT_EQ(asked([&] { come_home(sent.base); }),
            " config  diff-tree  diff-tree  fast-import  index-pack  index-pack  ls-tree  pack-objects  pack-objects "
            " rev-list  rev-list  rev-list  unpack-objects  unpack-objects ")
      << "an index-pack checks the objects before unpack-objects, and none reads what the clone was given";
  EXPECT_EQ(times("--show-origin --list"), "1");
  EXPECT_EQ(times("diff-tree -r"), "1") << "for the branch and for the files";
  EXPECT_EQ(times("check-attr"), "0") << "no file has attributes";
  EXPECT_NE(times("unpack-objects"), "0");
  EXPECT_EQ(times("core.fsync=objects.* unpack-objects"), times("unpack-objects")) << "it must survive a crash";
  for (const char* inner : {"/a", "/b"}) make_inner(root + "/several" + inner);
  sent = pack(manifest::WorkspaceMode::copy, root + "/several");
  unpack();
  asked([&] { come_home(sent.base, root + "/several"); });
  EXPECT_EQ(times("--show-origin --list"), "1") << "for all repositories";
  git("tag first");
  EXPECT_EQ(asked([&] { pack(manifest::WorkspaceMode::clone); }),
            " config  for-each-ref  pack-objects  read-tree  status ");
}

TEST_F(Workspace, TheCloneHasOnlyTheHistoryOfHead) {
  make_repository();
  git("tag light");
  git("tag -a -m note annotated");
  put(repo + "/key.txt", "secret\n");
  git("add key.txt");
  git("commit -qm oops");
  std::string dropped = git("rev-parse HEAD");
  git("tag elsewhere");
  git("reset -q --hard HEAD^");
  git("branch other " + dropped);
  put(repo + "/a.txt", "two\n");
  git("commit -qam second");
  git("update-ref refs/bottle/s0/worktree HEAD");
  for (const char* detach : {"", "yes"}) {
    if (*detach) git("checkout -q --detach");
    auto sent = pack(manifest::WorkspaceMode::clone);
    unpack();
    EXPECT_EQ(sent.base, git("rev-parse HEAD"));
    EXPECT_EQ(git("rev-parse HEAD", inside), sent.base);
    EXPECT_EQ(git("rev-parse --symbolic-full-name HEAD", inside), *detach ? "HEAD" : "refs/heads/main");
    EXPECT_EQ(git("for-each-ref --format='%(refname)'", inside),
              std::string(*detach ? "" : "refs/heads/main\n") + "refs/tags/annotated\nrefs/tags/light");
    EXPECT_EQ(git("rev-parse annotated", inside), git("rev-parse annotated"));
    EXPECT_EQ(git("log --format=%s", inside), "second\nfirst");
    EXPECT_EQ(git("cat-file -e " + dropped + " || echo none", inside), "none");
    EXPECT_EQ(git("status --porcelain", inside), "");
    git("fsck --strict --no-dangling", inside);
  }
}

TEST_F(Workspace, AShallowCloneStaysShallow) {
  make_repository();
  put(repo + "/a.txt", "two\n");
  git("commit -qam second");
  sh("git -c protocol.file.allow=always clone -q --depth 1 file://" + repo + " " + root + "/shallow");
  auto sent = pack(manifest::WorkspaceMode::clone, root + "/shallow");
  unpack();
  EXPECT_EQ(git("log --format=%s", inside), "second");
  git("fsck --strict", inside);
  put(inside + "/a.txt", "three\n");
  git("commit -qam third", inside);
  auto back = take_inside(sent.base, root + "/shallow");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->commits, 1u);
  EXPECT_EQ(git("log --format=%s refs/bottle/s1/worktree", root + "/shallow"), "third\nsecond");
}

TEST_F(Workspace, PathsAreBelowThePrefix) {
  make_repository();
  sh("ln -s a.txt " + repo + "/link");
  archive.clear();
  auto sent = send({manifest::WorkspaceMode::copy, repo, ::getuid(), ::getgid(), root + "/scratch", "workspace/"},
                   git::read_operators_configuration(), sink_to(archive));
  ASSERT_TRUE(sent) << sent.error().what;
  std::ofstream(root + "/out.tar", std::ios::binary) << archive;
  EXPECT_EQ(sh("tar -tf " + root + "/out.tar | grep -v '^workspace/' | wc -l"), "0");
  EXPECT_EQ(sh("tar -tf " + root + "/out.tar | grep -cxE 'workspace/(link|a.txt|dir/b.txt|.git/HEAD)'"), "4");
}

TEST_F(Workspace, ACopySkipsFilesThatMustNotGoIntoABottle) {
  make_repository();
  configure("http.extraheader", "Authorization: Basic c2VjcmV0");
  git("remote add origin https://user:pw@example.org/x.git");
  put(repo + "/dirty.txt", "mine");
  fs::create_symlink("a.txt", repo + "/in");
  fs::create_symlink("/etc/passwd", repo + "/abs");
  fs::create_symlink("../../x", repo + "/dir/up");
  fs::create_symlink("loop", repo + "/loop");
  ASSERT_EQ(::mkfifo((repo + "/fifo").c_str(), 0600), 0);
  int s = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{AF_UNIX, {}};
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", repo.c_str());
  ASSERT_EQ(::bind(s, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(s);
  git("add abs");
  git("commit -qm links");
  auto sent = pack(manifest::WorkspaceMode::copy);
  EXPECT_EQ(sent.skipped, 4u);
  EXPECT_NE(joined(sent.warnings, "\n")
                .find("links whose target is absolute or outside the directory were not sent (2, for example "),
            std::string::npos)
      << joined(sent.warnings, "\n");
  unpack();
  EXPECT_TRUE(fs::is_symlink(inside + "/in"));
  EXPECT_TRUE(fs::is_symlink(inside + "/loop"));
  for (const char* gone : {"/abs", "/dir/up", "/fifo", "/sock"})
    EXPECT_FALSE(fs::is_symlink(inside + gone) || fs::exists(inside + gone)) << gone;
  std::string config = *read_file(inside + "/.git/config");
  EXPECT_EQ(config.find("c2VjcmV0"), std::string::npos);
  EXPECT_EQ(config.find("user:pw"), std::string::npos);
  EXPECT_NE(config.find("https://example.org/x.git"), std::string::npos);
  // The operator's link that leads out was never sent, so its absence is not a change.
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->text, "Nothing changed in the workspace.\n");
  EXPECT_FALSE(flagged(*back, "abs")) << back->text;
  // Even if the agent commits everything, the link is not removed.
  git("add -A", inside);
  git("commit -qm all", inside);
  back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(git("ls-tree -r --name-only refs/bottle/s1/worktree | tr '\\n' ' '"),
            "a.txt abs dir/b.txt dirty.txt in loop ");
}

TEST_F(Workspace, ACopyKeepsTheTimesThatBuildToolsCompare) {
  make_repository();
  put(repo + "/build/old.o", "stale\n");
  put(repo + "/build/new.o", "fresh\n");
  fs::create_symlink("../a.txt", repo + "/build/link");
  sh("touch -d @1500000001 " + repo + "/build/old.o && touch -d @1500000002.9 " + repo + "/a.txt && touch -d @-5 " +
     repo + "/dir/b.txt && touch -d @1500000003 " + repo + "/build/new.o && touch -hd @1500000004 " + repo +
     "/build/link && touch -d @1500000005 " + repo + "/build && touch -d @1500000006 " + repo + "/.git/index");
  auto time_in = [](const std::string& path) { return sh("stat -c %Y " + path); };
  pack(manifest::WorkspaceMode::copy);
  unpack();
  EXPECT_EQ(time_in(inside + "/build/old.o"), "1500000001");
  EXPECT_EQ(time_in(inside + "/a.txt"), "1500000002");
  EXPECT_EQ(time_in(inside + "/build/new.o"), "1500000003");
  EXPECT_EQ(time_in(inside + "/build/link"), "1500000004");
  EXPECT_EQ(time_in(inside + "/build"), "1500000005");
  EXPECT_EQ(time_in(inside + "/.git/index"), "1500000006") << "git compares it with the times of the files";
  EXPECT_EQ(time_in(inside + "/dir/b.txt"), "0") << "the format has no earlier time";
  EXPECT_EQ(git("status --porcelain -uno", inside), "");
  // The .git of a clone replaces that of a linked work tree. It was made for this session, unlike the files.
  git("worktree add -q " + root + "/linked");
  sh("touch -d @1500000001 " + root + "/linked/a.txt");
  pack(manifest::WorkspaceMode::copy, root + "/linked", 1400000000);
  unpack();
  EXPECT_EQ(time_in(inside + "/a.txt"), "1500000001");
  EXPECT_EQ(sh("find " + inside + "/.git -newermt @1400000000"), "");
  // A checkout would give all files one time, so that a second delivery has the same bytes.
  pack(manifest::WorkspaceMode::clone, "", 1400000000);
  unpack();
  EXPECT_EQ(sh("find " + inside + " -mindepth 1 -newermt @1400000000"), "");
}

TEST_F(Workspace, ACopyHasNoRefsOfOtherSessions) {
  make_repository();
  std::string head = git("rev-parse HEAD");
  git("tag -am v1 v1");
  git("tag -am other other");
  git("update-ref refs/bottle/old/tag other");
  git("tag -d other");
  git("update-ref refs/bottle/old/heads/main HEAD");
  git("pack-refs --all");
  git("update-ref --create-reflog refs/bottle/new/worktree HEAD");
  git("branch bottle/mine");
  ASSERT_NE(read_file(repo + "/.git/packed-refs")->find("refs/bottle/old"), std::string::npos);
  ASSERT_TRUE(fs::exists(repo + "/.git/refs/bottle/new/worktree") &&
              fs::exists(repo + "/.git/logs/refs/bottle/new/worktree"));
  auto sent = pack(manifest::WorkspaceMode::copy);
  unpack();
  EXPECT_EQ(git("for-each-ref '--format=%(refname)'", inside), "refs/heads/bottle/mine\nrefs/heads/main\nrefs/tags/v1");
  EXPECT_EQ(git("rev-parse HEAD 'v1^{commit}'", inside), head + "\n" + head);
  EXPECT_EQ(sh("grep -rl refs/bottle " + inside + "/.git || true"), "");
  EXPECT_FALSE(fs::exists(inside + "/.git/refs/bottle") || fs::exists(inside + "/.git/logs/refs/bottle"));
  EXPECT_EQ(sent.base, head);
}

TEST_F(Workspace, AWorkTreeIsCloned) {
  make_repository();
  git("worktree add -q -b side " + root + "/side");
  put(root + "/side/dirty.txt", "d");
  auto sent = pack(manifest::WorkspaceMode::copy, root + "/side");
  unpack();
  EXPECT_TRUE(fs::is_directory(inside + "/.git"));
  EXPECT_EQ(git("rev-parse --abbrev-ref HEAD", inside), "side");
  EXPECT_EQ(git("status --porcelain", inside), "?? dirty.txt");
  put(inside + "/dirty.txt", "agent's");
  auto back = take_inside(sent.base, root + "/side");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(git("show refs/bottle/s1/worktree:dirty.txt"), "agent's");
}

TEST_F(Workspace, UncommittedChangesAreReportedForEveryKindOfIndex) {
  for (const char* kind :
       {"", "update-index --split-index", "update-index --untracked-cache", "config core.fileMode false",
        "config core.autocrlf input", "sparse-checkout set --cone --sparse-index dir"}) {
    fs::remove_all(repo);
    fs::create_directory(repo);
    commit(repo, {{"a.txt", "one\n"}, {"dir/b.txt", "two\n"}, {"other/c.txt", "c\n"}});
    if (*kind) git(kind);
    std::string before = *read_file(repo + "/.git/index");
    EXPECT_TRUE(pack(manifest::WorkspaceMode::clone).warnings.empty()) << kind;
    fs::permissions(repo + "/a.txt", fs::perms(0755));
    bool counts = std::string(kind) != "config core.fileMode false";
    EXPECT_EQ(pack(manifest::WorkspaceMode::clone).warnings.empty(), !counts) << kind;
    put(repo + "/a.txt", "changed\n");
    EXPECT_EQ(pack(manifest::WorkspaceMode::clone).warnings,
              (std::vector<std::string>{"uncommitted changes were not sent, because a clone has only what is committed "
                                        "(use workspace: copy to send "
                                        "them)"}))
        << kind;
    EXPECT_TRUE(*read_file(repo + "/.git/index") == before) << kind;
  }
  // Files that the repository or the operator ignores are not mentioned.
  git("sparse-checkout disable");
  git("reset -q --hard");
  put(repo + "/build/x", "x");
  put(repo + "/notes", "x");
  put(repo + "/.git/info/exclude", "/build/\n");
  put(root + "/ignore", "notes\n");
  set_operators_settings("[core]\n\texcludesFile = " + root + "/ignore\n");
  EXPECT_TRUE(pack(manifest::WorkspaceMode::clone).warnings.empty());
}

TEST_F(Workspace, ASubmoduleIsARepositoryToo) {
  make_repository();
  fs::rename(repo, root + "/library");
  fs::create_directory(repo);
  make_repository();
  git("submodule --quiet add " + root + "/library sub");
  for (auto mode : {manifest::WorkspaceMode::clone, manifest::WorkspaceMode::copy}) {
    auto sent = pack(mode, repo + "/sub");
    EXPECT_EQ(sent.base, git("rev-parse HEAD", repo + "/sub"));
    unpack();
    EXPECT_EQ(git("log --format=%s", inside), "first");
    put(inside + "/new.txt", "new\n");
    auto back = take_inside(sent.base, repo + "/sub");
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(git("show refs/bottle/s1/worktree:new.txt", repo + "/sub"), "new");
    EXPECT_EQ(git("for-each-ref refs/bottle"), "");
  }
}

TEST_F(Workspace, ManySmallFilesAreStreamed) {
  for (int i = 0; i < 1500; ++i) put(repo + "/d" + std::to_string(i % 50) + "/" + std::to_string(i), "x");
  size_t largest = 0, total = 0;
  auto r = send({manifest::WorkspaceMode::copy, repo, 1, 1, root + "/scratch"}, git::read_operators_configuration(),
                [&](std::string_view bytes) -> Result<> {
                  largest = std::max(largest, bytes.size());
                  total += bytes.size();
                  return {};
                });
  ASSERT_TRUE(r);
  EXPECT_EQ(r->files, 1500u);
  EXPECT_LT(largest, size_t{1} << 20);
  EXPECT_GE(total, size_t{1500} << 10);
}

TEST_F(Workspace, BlobIdsAreThoseOfGit) {
  git("init -q");
  for (size_t size : {0, 1, 47, 48, 55, 56, 63, 64, 65, 119, 120, 100000}) {
    std::string content;
    for (size_t i = 0; i < size; ++i) content += static_cast<char>(i * 7 + i / 251);
    put(repo + "/x", content);
    EXPECT_EQ(blob_id(git::ObjectFormat::sha1, content), git("hash-object --no-filters x")) << size;
  }
}

TEST_F(Workspace, ACloneContainsWhatACheckoutWouldWrite) {
  make_repository();
  put(repo + "/run.sh", "#!/bin/sh\n");
  put(repo + "/deep/er/still/x", "x\n");
  put(repo + "/deep.txt", "y\n");
  put(repo + "/empty", "");
  put(repo + "/odd \"name\"\twith\nall \xff", "z");
  put(repo + "/big", std::string(3 << 20, 'b'));
  sh("cd " + repo + " && chmod +x run.sh && ln -s dir/b.txt link && ln -s /etc/passwd out");
  for (auto [large, converting] : {std::pair(false, false), {true, false}, {true, true}}) {
    if (converting) put(repo + "/deep/.gitattributes", "x text eol=crlf\n");
    git("add -A");
    git("commit -qm all --allow-empty");
    if (large) fs::remove(repo + "/.git/index");  // bottle then takes the repository for a large one
    auto sent = pack(manifest::WorkspaceMode::clone);
    EXPECT_EQ(sent.skipped, 1u);
    unpack();
    EXPECT_EQ(git("status --porcelain", inside), "");  // files that were not sent are not changes of the agent's
    sh("git -c protocol.file.allow=always clone -q --no-local " + repo + " " + root + "/checkout && rm -rf " + root +
       "/checkout/.git " + root + "/checkout/out");
    sh("cp -r " + inside + " " + root + "/compared && rm -rf " + root + "/compared/.git && diff -r --no-dereference " +
       root + "/checkout " + root + "/compared");
    EXPECT_EQ(::access((inside + "/run.sh").c_str(), X_OK), 0);
    if (converting) EXPECT_EQ(*read_file(inside + "/deep/er/still/x"), "x\r\n");
    fs::remove_all(root + "/checkout");
    fs::remove_all(root + "/compared");
    EXPECT_TRUE(fs::is_empty(root + "/scratch"));
  }
}

TEST_F(Workspace, ADirectoryThatCannotBeReadToItsEndIsAnError) {
  put(root + "/plain/file", "text");
  auto noticed = without_listings([&] {
    auto sent = send({.mode = manifest::WorkspaceMode::copy, .source = root + "/plain", .scratch = root + "/scratch"},
                     git::read_operators_configuration(), [](std::string_view) { return Result<>(); });
    return !sent && sent.error().what.find("reading the workspace") != std::string::npos;
  });
  if (!noticed) GTEST_SKIP() << "this system cannot simulate an error of the disk";
  EXPECT_TRUE(*noticed);
}

}  // namespace
}  // namespace bottle::workspace
