#include "workspace/workspace.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "docker/tar.h"
#include "workspace/blob_id.h"
#include "workspace/git.h"
#include "workspace/paths.h"
#include "workspace/untar.h"

namespace bottle::workspace {
namespace {

namespace fs = std::filesystem;

class Workspace : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/workspace_test_XXXXXX";
    ASSERT_TRUE(::mkdtemp(path));
    root = path;
    repo = root + "/repo";
    fs::create_directory(repo);
  }
  void TearDown() override { fs::remove_all(root); }

  static std::string sh(const std::string& command) {
    std::string out;
    FILE* f = ::popen(("export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1; { " + command + "; } 2>&1").c_str(), "r");
    char buffer[4096];
    while (size_t n = std::fread(buffer, 1, sizeof buffer, f)) out.append(buffer, n);
    int status = ::pclose(f);
    EXPECT_EQ(status, 0) << command << "\n" << out;
    while (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
  }
  std::string git(const std::string& command, const std::string& where = "") {
    return sh("git -C " + (where.empty() ? repo : where) + " -c user.name=t -c user.email=t@t -c protocol.file.allow=always " + command);
  }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
  }
  void make_repository() {
    git("init -q -b main");
    put(repo + "/a.txt", "one\n");
    put(repo + "/dir/b.txt", "two\n");
    git("add -A");
    git("commit -qm first");
  }
  Summary pack(manifest::WorkspaceMode mode, const std::string& from = "") {
    archive.clear();
    auto r = send({mode, from.empty() ? repo : from, ::getuid(), ::getgid(), root + "/scratch"}, [&](std::string_view bytes) -> Result<> {
      archive.append(bytes);
      return {};
    });
    EXPECT_TRUE(r) << r.error().what;
    return r.value_or(Summary{});
  }
  // What the engine and the agent's side do: unpack into /workspace.
  void unpack() {
    inside = root + "/inside/workspace";
    fs::remove_all(root + "/inside");
    fs::create_directories(inside);
    std::ofstream(root + "/out.tar", std::ios::binary) << archive;
    sh("tar -C " + inside + " -xf " + root + "/out.tar");
  }
  Result<Back> take(const std::string& bytes, const std::string& base, const std::string& source = "", uint64_t max_bytes = 1 << 28) {
    size_t at = 0;
    Incoming in;
    in.session = "s1";
    in.source = source.empty() ? repo : source;
    in.base = base;
    in.results_dir = root + "/results/s1";
    in.scratch = root + "/scratch";
    in.max_bytes = max_bytes;
    in.max_entries = 10000;
    return receive(in, [&](char* buffer, size_t room) -> Result<size_t> {
      size_t n = std::min({room, bytes.size() - at, size_t{7777}});
      bytes.copy(buffer, n, at);
      at += n;
      return n;
    });
  }
  Result<Back> take_inside(const std::string& base, const std::string& source = "") {
    sh("tar --format=pax -C " + root + "/inside -cf " + root + "/in.tar workspace");
    return take(*read_file(root + "/in.tar"), base, source);
  }
  // An archive as hostile as one likes.
  std::string craft(const std::function<void(docker::TarWriter&)>& fill) {
    std::string out;
    docker::TarWriter tar([&](std::string_view bytes) -> Result<> {
      out.append(bytes);
      return {};
    });
    EXPECT_TRUE(tar.directory("workspace", 0755, 0, 0));
    fill(tar);
    EXPECT_TRUE(tar.finish());
    return out;
  }
  bool flagged(const Back& back, const std::string& what) {
    for (const auto& f : back.flagged)
      if (f.find(what) != std::string::npos) return true;
    return false;
  }
  std::string state() { return git("status --porcelain --ignored") + git("rev-parse HEAD") + git("symbolic-ref HEAD") + git("for-each-ref refs/heads"); }

  std::string root, repo, archive, inside;
};

TEST_F(Workspace, CloneOutAndCommitsBack) {
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
  EXPECT_EQ(back->refs, (std::vector<std::string>{"refs/bottle/s1/heads/feature/x", "refs/bottle/s1/heads/main", "refs/bottle/s1/worktree"}));
  EXPECT_EQ(back->commits, 2u);
  EXPECT_EQ(back->files, 5u);
  EXPECT_TRUE(back->flagged.empty()) << back->text;
  EXPECT_EQ(state(), before);
  EXPECT_EQ(git("show refs/bottle/s1/worktree:untracked.txt"), "u");
  EXPECT_EQ(git("rev-parse refs/bottle/s1/worktree^"), git("rev-parse refs/bottle/s1/heads/feature/x"));
  EXPECT_EQ(git("ls-tree -r --name-only refs/bottle/s1/worktree | tr '\\n' ' '"), "a.txt bin.dat c.txt untracked.txt ");
  EXPECT_NE(back->text.find("git merge refs/bottle/s1/worktree"), std::string::npos);
  // The patch alone gives the same tree.
  sh("git clone -q " + repo + " " + root + "/other");
  git("apply --index " + back->patch, root + "/other");
  EXPECT_EQ(git("write-tree", root + "/other"), git("rev-parse refs/bottle/s1/worktree^{tree}"));
  EXPECT_EQ(sh("ls -A " + root + "/results/s1"), "changes.patch");
  git("fsck --strict");
}

TEST_F(Workspace, TheCloneCommitsAsTheOperatorDoes) {
  make_repository();
  git("config user.name 'Ada L.'");
  git("config user.email first@example.org");
  git("config --add user.email ada@example.org");
  git("remote add origin /nowhere");
  pack(manifest::WorkspaceMode::clone);
  unpack();
  EXPECT_EQ(sh("git config --file " + inside + "/.git/config user.name"), "Ada L.");
  EXPECT_EQ(sh("git config --file " + inside + "/.git/config user.email"), "ada@example.org");
  EXPECT_EQ(sh("git -C " + inside + " remote"), "");
}

TEST_F(Workspace, TheCloneHasTheHistoryOfHeadAndNothingElse) {
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
    EXPECT_EQ(git("for-each-ref --format='%(refname)'", inside), std::string(*detach ? "" : "refs/heads/main\n") + "refs/tags/annotated\nrefs/tags/light");
    EXPECT_EQ(git("rev-parse annotated", inside), git("rev-parse annotated"));
    EXPECT_EQ(git("log --format=%s", inside), "second\nfirst");
    EXPECT_EQ(git("cat-file -e " + dropped + " || echo none", inside), "none");
    EXPECT_EQ(git("status --porcelain", inside), "");
    git("fsck --strict --no-dangling", inside);
  }
}

TEST_F(Workspace, AShallowCloneIsOneInsideToo) {
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

TEST_F(Workspace, ARepositoryOfSha256) {
  git("init -q -b main --object-format=sha256");
  put(repo + "/a.txt", "one\n");
  git("add -A");
  git("commit -qm first");
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  EXPECT_EQ(sent.base.size(), 64u);
  EXPECT_EQ(git("rev-parse HEAD", inside), sent.base);
  git("fsck --strict", inside);
}

TEST_F(Workspace, PathsBelowAPrefix) {
  make_repository();
  sh("ln -s a.txt " + repo + "/link");
  archive.clear();
  auto sent = send({manifest::WorkspaceMode::copy, repo, ::getuid(), ::getgid(), root + "/scratch", "workspace/"}, [&](std::string_view bytes) -> Result<> {
    archive.append(bytes);
    return {};
  });
  ASSERT_TRUE(sent) << sent.error().what;
  std::ofstream(root + "/out.tar", std::ios::binary) << archive;
  EXPECT_EQ(sh("tar -tf " + root + "/out.tar | grep -v '^workspace/' | wc -l"), "0");
  EXPECT_EQ(sh("tar -tf " + root + "/out.tar | grep -cxE 'workspace/(link|a.txt|dir/b.txt|.git/HEAD)'"), "4");
}

TEST_F(Workspace, NothingChanged) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_TRUE(back->refs.empty());
  EXPECT_EQ(back->patch, "");
  EXPECT_EQ(back->text, "Nothing changed in the workspace.\n");
}

TEST_F(Workspace, CopySkipsWhatHasNoBusinessInside) {
  make_repository();
  git("config http.extraheader 'Authorization: Basic c2VjcmV0'");
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
  unpack();
  EXPECT_TRUE(fs::is_symlink(inside + "/in"));
  EXPECT_TRUE(fs::is_symlink(inside + "/loop"));
  for (const char* gone : {"/abs", "/dir/up", "/fifo", "/sock"}) EXPECT_FALSE(fs::is_symlink(inside + gone) || fs::exists(inside + gone)) << gone;
  std::string config = *read_file(inside + "/.git/config");
  EXPECT_EQ(config.find("c2VjcmV0"), std::string::npos);
  EXPECT_EQ(config.find("user:pw"), std::string::npos);
  EXPECT_NE(config.find("https://example.org/x.git"), std::string::npos);
  // The operator's own link out was never sent; its absence is not a change.
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(git("ls-tree -r --name-only refs/bottle/s1/worktree | tr '\\n' ' '"), "a.txt abs dir/b.txt dirty.txt in loop ");
  EXPECT_FALSE(flagged(*back, "abs")) << back->text;
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
  ASSERT_TRUE(fs::exists(repo + "/.git/refs/bottle/new/worktree") && fs::exists(repo + "/.git/logs/refs/bottle/new/worktree"));
  auto sent = pack(manifest::WorkspaceMode::copy);
  unpack();
  EXPECT_EQ(git("for-each-ref '--format=%(refname)'", inside), "refs/heads/bottle/mine\nrefs/heads/main\nrefs/tags/v1");
  EXPECT_EQ(git("rev-parse HEAD 'v1^{commit}'", inside), head + "\n" + head);
  EXPECT_EQ(sh("grep -rl refs/bottle " + inside + "/.git || true"), "");
  EXPECT_FALSE(fs::exists(inside + "/.git/refs/bottle") || fs::exists(inside + "/.git/logs/refs/bottle"));
  EXPECT_EQ(sent.base, head);
}

TEST_F(Workspace, AWorktreeIsClonedIn) {
  make_repository();
  git("worktree add -q -b side " + root + "/side");
  put(root + "/side/dirty.txt", "d");
  auto sent = pack(manifest::WorkspaceMode::copy, root + "/side");
  unpack();
  EXPECT_TRUE(fs::is_directory(inside + "/.git"));
  EXPECT_EQ(git("rev-parse --abbrev-ref HEAD", inside), "side");
  EXPECT_EQ(git("status --porcelain", inside), "?? dirty.txt");
  auto back = take_inside(sent.base, root + "/side");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(git("show refs/bottle/s1/worktree:dirty.txt"), "d");
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

TEST_F(Workspace, WithoutARepositoryThePatchShowsTheFilesThemselves) {
  put(repo + "/a.txt", "one\n");
  pack(manifest::WorkspaceMode::clone);
  unpack();
  put(inside + "/build.sh", "evil\n");
  // An object under the name of that content which says something else: git looks at no hash when it shows one.
  sh("cd " + inside + " && rm -rf .git && git init -q && id=$(git hash-object build.sh) && mkdir -p .git/objects/${id%${id#??}} && "
     "python3 -c \"import sys,zlib; sys.stdout.buffer.write(zlib.compress(b'blob 5\\0good\\n'))\" >.git/objects/${id%${id#??}}/${id#??}");
  auto back = take_inside("");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_NE(read_file(back->patch)->find("+evil"), std::string::npos) << *read_file(back->patch);
  EXPECT_EQ(*read_file(root + "/results/s1/files/build.sh"), "evil\n");
}

TEST_F(Workspace, ManySmallFilesStream) {
  for (int i = 0; i < 3000; ++i) put(repo + "/d" + std::to_string(i % 50) + "/" + std::to_string(i), "x");
  size_t largest = 0, total = 0;
  auto r = send({manifest::WorkspaceMode::copy, repo, 1, 1, root + "/scratch"}, [&](std::string_view bytes) -> Result<> {
    largest = std::max(largest, bytes.size());
    total += bytes.size();
    return {};
  });
  ASSERT_TRUE(r);
  EXPECT_EQ(r->files, 3000u);
  EXPECT_LT(largest, size_t{1} << 20);
  EXPECT_GE(total, size_t{3000 * 1024});
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
  EXPECT_TRUE(flagged(*back, "up: a link out of the tree"));
  EXPECT_EQ(git("show refs/bottle/s1/worktree:plain"), "agent's");
  EXPECT_EQ(git("ls-tree refs/bottle/s1/worktree up"), "");
  EXPECT_EQ(back->text.find('\x1b'), std::string::npos);
  EXPECT_GE(back->skipped, 6u);
  EXPECT_EQ(state(), before);
}

TEST_F(Workspace, HostileGitDirectoryRunsNothing) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  std::string mark = root + "/executed";
  put(inside + "/.git/hooks/post-checkout", "#!/bin/sh\ntouch " + mark + "\n");
  fs::permissions(inside + "/.git/hooks/post-checkout", fs::perms(0755));
  put(inside + "/.git/objects/info/alternates", "/nowhere/objects\n");
  put(inside + "/.gitattributes", "* filter=evil diff=evil merge=evil\n*.txt working-tree-encoding=UTF-999\n");
  sh("printf '[filter \"evil\"]\\nclean = touch " + mark + "\\nsmudge = touch " + mark + "\\nrequired = true\\n[diff \"evil\"]\\ntextconv = touch " + mark +
     "\\ncommand = touch " + mark + "\\n[core]\\nfsmonitor = touch " + mark + "\\nhooksPath = hooks\\n[uploadpack]\\npackObjectsHook = touch " + mark + "\\n' >> " + inside + "/.git/config");
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
  for (const char* what : {".git/hooks/post-checkout", "alternates", ".envrc", ".claude/settings.local.json", "package.json", ".gitattributes", "nested/.git", "ghost"})
    EXPECT_TRUE(flagged(*back, what)) << what << "\n" << back->text;
  EXPECT_EQ(back->refs, (std::vector<std::string>{"refs/bottle/s1/worktree"}));
  EXPECT_EQ(git("show refs/bottle/s1/worktree:a.txt"), "new");
  EXPECT_EQ(git("status --porcelain"), "");
}

TEST_F(Workspace, ObjectsThatFailGitsChecksAreLeftBehind) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  // A commit whose tree holds ".git/config": what a merge would write into the operator's repository.
  std::string evil = sh("cd " + inside + " && b=$(echo x | git hash-object -w --stdin) && t=$(printf '100644 blob %s\\tconfig\\n' $b | git mktree) && "
                        "u=$(printf '040000 tree %s\\t.git\\n' $t | git mktree) && git -c user.name=t -c user.email=t@t commit-tree $u -p HEAD -m evil");
  git("update-ref refs/heads/evil " + evil, inside);
  git("symbolic-ref HEAD refs/heads/evil", inside);
  put(inside + "/good.txt", "g\n");
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_TRUE(flagged(*back, "refs/heads/evil"));
  EXPECT_EQ(back->refs, (std::vector<std::string>{"refs/bottle/s1/worktree"}));
  EXPECT_EQ(git("show refs/bottle/s1/worktree:good.txt"), "g");
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
}

TEST_F(Workspace, LimitsAndBrokenArchives) {
  make_repository();
  std::string base = git("rev-parse HEAD");
  auto big = craft([&](docker::TarWriter& t) { EXPECT_TRUE(t.file("workspace/big", 0644, 0, 0, std::string(100000, 'x'))); });
  auto r = take(big, base, "", 50000);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::limit);
  auto many = craft([&](docker::TarWriter& t) { for (int i = 0; i < 10001; ++i) EXPECT_TRUE(t.directory("workspace/d", 0755, 0, 0)); });
  EXPECT_EQ(take(many, base).error().code, Code::limit);
  auto links = craft([&](docker::TarWriter& t) { for (int i = 0; i < 30; ++i) EXPECT_TRUE(t.symlink("workspace/l" + std::to_string(i), std::string(4000, 'x'), 0, 0)); });
  EXPECT_EQ(take(links, base, "", 100000).error().code, Code::limit);
  auto empty = craft([&](docker::TarWriter& t) { for (int i = 0; i < 300; ++i) EXPECT_TRUE(t.file("workspace/e" + std::to_string(i), 0644, 0, 0, "")); });
  EXPECT_EQ(take(empty, base, "", 100000).error().code, Code::limit);
  EXPECT_EQ(take(big.substr(0, 3000), base).error().code, Code::protocol);
  std::string bad = big;
  bad[600] ^= 1;
  EXPECT_EQ(take(bad, base).error().code, Code::protocol);
  EXPECT_EQ(sh("ls -A " + root + "/results/s1"), "");
  EXPECT_EQ(git("for-each-ref refs/bottle"), "");
}

TEST_F(Workspace, AContentHasTheNameThatGitGivesIt) {
  git("init -q");
  for (size_t size : {0, 1, 47, 48, 55, 56, 63, 64, 65, 119, 120, 100000}) {
    std::string content;
    for (size_t i = 0; i < size; ++i) content += static_cast<char>(i * 7 + i / 251);
    put(repo + "/x", content);
    EXPECT_EQ(blob_id(content), git("hash-object --no-filters x")) << size;
  }
}

TEST_F(Workspace, ACloneIsWhatACheckoutWouldWrite) {
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
    if (large) fs::remove(repo + "/.git/index");  // as far as that tells
    auto sent = pack(manifest::WorkspaceMode::clone);
    EXPECT_EQ(sent.skipped, 1u);
    unpack();
    EXPECT_EQ(git("status --porcelain", inside), " D out");
    sh("git -c protocol.file.allow=always clone -q --no-local " + repo + " " + root + "/checkout && rm -rf " + root + "/checkout/.git " + root + "/checkout/out");
    sh("cp -r " + inside + " " + root + "/compared && rm -rf " + root + "/compared/.git && diff -r --no-dereference " + root + "/checkout " + root + "/compared");
    EXPECT_EQ(::access((inside + "/run.sh").c_str(), X_OK), 0);
    if (converting) EXPECT_EQ(*read_file(inside + "/deep/er/still/x"), "x\r\n");
    fs::remove_all(root + "/checkout");
    fs::remove_all(root + "/compared");
    EXPECT_TRUE(fs::is_empty(root + "/scratch"));
  }
}

// Files that did not change are not written on the way back; what is made of them must be the same as if they were.
TEST_F(Workspace, WhatDidNotChangeComesBackAsItWas) {
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
    sh("cd " + inside + " && echo new > new && echo more >> a.txt && rm gone && mv renamed many/renamed && chmod +x mode && ln many/7 many/again && "
       "rm becomes-link && ln -s a.txt becomes-link && rm becomes-directory && mkdir becomes-directory && echo x > becomes-directory/x && "
       "git rm -q --cached untracked ignored && echo ignored > .gitignore && git add .gitignore && git -c user.name=a -c user.email=a@a commit -qm less");
    std::string before = state();
    auto back = take_inside(sent.base);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(state(), before);
    EXPECT_EQ(git("diff --name-status --no-renames " + sent.base + " refs/bottle/s1/worktree"),
              "A\t.gitignore\nM\ta.txt\nD\tbecomes-directory\nA\tbecomes-directory/x\nT\tbecomes-link\nD\tgone\nD\tignored\nA\tmany/again\nA\tmany/renamed\n"
              "M\tmode\nA\tnew\nD\trenamed");
    EXPECT_EQ(git("show refs/bottle/s1/worktree:many/again"), "content 7");
    sh("git clone -q " + repo + " " + root + "/applied && cd " + root + "/applied && git apply " + back->patch);
    fs::remove_all(root + "/applied");
    git("update-ref -d refs/bottle/s1/worktree");
    EXPECT_TRUE(fs::is_empty(root + "/scratch"));
  }
}

TEST_F(Workspace, AnotherNameOfAnUnchangedFileComesBackWithoutARepositoryToo) {
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

TEST(Paths, GitDirectoriesInEverySpelling) {
  for (const char* name : {".git", ".GIT", "git~1", ".git.", ".git ", ".git::$INDEX_ALLOCATION", ".g\u200cit", "x\\.git"}) EXPECT_TRUE(is_git_directory(name)) << name;
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
  EXPECT_TRUE(is_branch_name("feature/x-1"));
  for (const char* name : {"", "-x", "a/-x", "a..b", "a/.b", "a.lock", "a b", "a:b", "a*", "a//b", "HEAD", "a@{1}", "a\nb"}) EXPECT_FALSE(is_branch_name(name)) << name;
}

}  // namespace
}  // namespace bottle::workspace
