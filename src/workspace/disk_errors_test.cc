// Tests that an error of the disk is not taken for a fact: for the absence of files, for their end, or for a path that
// cannot exist.
#include <sys/resource.h>

#include "base/files/unreadable_test.h"
#include "workspace/files/sent.h"
#include "workspace/quarantine/work_files.h"
#include "workspace/receiving/bring.h"
#include "workspace/receiving/keep_files.h"
#include "workspace/sending/below.h"
#include "workspace/workspace_test.h"

namespace bottle::workspace {
namespace {

class DiskErrors : public Workspace {
 protected:
  // Returns a quarantine with a repository.
  Quarantine quarantine() {
    Quarantine q;
    q.root = root + "/q";
    fs::create_directories(q.tree());
    q.repository = git::Directory::make(q.root + "/repository", {}).value();
    q.rules = git::Directory::make(q.root + "/rules", {}).value();
    return q;
  }
  git::Runner runner() { return git::Runner::make(root + "/q").value(); }
};

TEST_F(DiskErrors, ALinkThatAFullDiskRefusesIsNotAnImpossiblePath) {
  fs::create_directories(root + "/t");
  auto tree = Tree::open(root + "/t").value();
  put(root + "/t/a", "text");
  auto fails = [&](int call, auto body) { return with_failing(call, ENOSPC, [&] { return !body(); }); };
  auto link = fails(SYS_symlinkat, [&] { return tree.link({"l"}, "a").has_value(); });
  if (!link) GTEST_SKIP() << "this system cannot inject errors";
  EXPECT_TRUE(*link);
  EXPECT_TRUE(*fails(SYS_linkat, [&] { return tree.hardlink({"h"}, {"a"}).has_value(); }));
  EXPECT_TRUE(*fails(SYS_unlinkat, [&] { return tree.absent({"a"}).has_value(); }));
  // These are facts about the paths, not errors of the disk.
  for (int error : {EILSEQ, EOPNOTSUPP, ENOSYS}) {
    EXPECT_FALSE(*with_failing(SYS_symlinkat, error, [&] { return !tree.link({"l"}, "a").has_value(); }));
    EXPECT_FALSE(*with_failing(SYS_linkat, error, [&] { return !tree.hardlink({"h"}, {"a"}).has_value(); }));
  }
  fs::create_directories(root + "/t/d");
  EXPECT_FALSE(tree.link({"a"}, "b").value());
  EXPECT_FALSE(tree.hardlink({"a", "b"}, {"a"}).value());
  EXPECT_FALSE(tree.hardlink({"h"}, {"none"}).value());
  EXPECT_FALSE(tree.absent({"d"}).value());
  EXPECT_TRUE(tree.absent({"none"}).value());
}

// On a file system that ignores case, README and readme name the same file. Here, the other file is made directly.
TEST_F(DiskErrors, AFileWithAnotherSpellingOfAPathIsNotReplaced) {
  fs::create_directories(root + "/t");
  auto tree = Tree::open(root + "/t").value();
  tree.keep_other_spellings();
  uint64_t room = 1000;
  auto write = [&](const std::string& name, const std::string& text) {
    return tree.file({"d", name}, false, source_of(text), &room).value();
  };
  EXPECT_TRUE(write("own", "one"));
  EXPECT_TRUE(write("own", "two")) << "a later entry of the same name wins";
  put(root + "/t/d/readme", "README");
  EXPECT_FALSE(write("readme", "another file"));
  EXPECT_FALSE(tree.hardlink({"d", "readme"}, {"d", "own"}).value());
  EXPECT_TRUE(tree.absent({"d", "readme"}).value()) << "it is not there under this name";
  EXPECT_EQ(*read_file(root + "/t/d/readme"), "README");
  EXPECT_TRUE(tree.absent({"d", "own"}).value());
  EXPECT_FALSE(fs::exists(root + "/t/d/own"));
  fs::create_directories(root + "/t/dir");
  EXPECT_FALSE(tree.absent({"dir"}).value());
}

TEST_F(DiskErrors, ARecordThatCannotBeReadIsNotAMissingOne) {
  EXPECT_FALSE(read_sent(root + "/none").value());
  fs::create_symlink("loop", root + "/loop");
  EXPECT_FALSE(read_sent(root + "/loop")) << "the operator's changes would count as the agent's";
}

TEST_F(DiskErrors, ADirectoryThatIsNotSearchedIsReported) {
  std::string wide = root + "/top/wide";
  fs::create_directories(wide + "/z/.git");
  auto any = [](const std::string&) { return true; };
  EXPECT_TRUE(repositories_below(root + "/top").is_complete);
  EXPECT_TRUE(files_below(root + "/top", any).is_complete);
  for (int i = 0; i < 20'001; ++i) std::ofstream(wide + "/" + std::to_string(i));
  EXPECT_FALSE(repositories_below(root + "/top").is_complete);
  EXPECT_FALSE(files_below(root + "/top", any).is_complete);
}

TEST_F(DiskErrors, TheSizeOfWhatCannotBeListedIsUnknown) {
  make_repository();
  std::string objects = repo + "/.git/objects";
  EXPECT_GT(size_of(objects).value(), 0u);
  EXPECT_EQ(size_of(root + "/none").value(), 0u);
  auto known = without_listings([&] { return size_of(objects).has_value(); });
  if (known) EXPECT_FALSE(*known);
}

TEST_F(DiskErrors, ADirectoryOfObjectsThatBelongsToRootHasNoSize) {
  make_repository();
  std::string objects = repo + "/.git/objects";
  run({"chmod", "-R", "a+rX", root});
  fs::create_directories(objects + "/ab");
  fs::permissions(objects + "/ab", fs::perms::none);
  pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::setresuid(4711, 4711, 4711) != 0) ::_exit(1);
    ::_exit(size_of(objects).value_or(0) > 0 && !size_of(objects + "/ab") ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0) << "nothing could come home";
  fs::permissions(objects + "/ab", fs::perms::owner_all);
}

TEST_F(DiskErrors, AFileThatCannotBeReadIsReported) {
  auto q = quarantine();
  auto git = runner();
  put(q.tree() + "/a", "text\n");
  fs::create_directories(q.tree() + "/directory");
  fs::create_symlink("a", q.tree() + "/link");
  for (const char* path : {"a", "directory", "link", "gone"}) q.paths[path] = Quarantine::Written{};
  std::vector<std::string> left;
  auto copy = [&](const std::vector<Change>& list) {
    return copy_files(q, git, list, root + "/copies", 1 << 20,
                      [&](const std::string& path, const std::string&) { left.push_back(path); });
  };
  std::string missing(40, '1');
  ASSERT_TRUE(copy({{"a", "100644", ""}, {"directory", "100644", ""}, {"link", "100644", ""}, {"gone", "100644", ""}}));
  EXPECT_EQ(left, (std::vector<std::string>{"directory", "link", "gone"}));
  EXPECT_EQ(read_file(root + "/copies/a").value(), "text\n");
  EXPECT_FALSE(copy({{"other", "100644", missing}})) << "it would be empty";
  left.clear();
  fs::create_directories(q.tree() + "/d");
  put(q.tree() + "/d/b", "text\n");
  q.paths["d/b"] = Quarantine::Written{};
  auto copied_both = with_failing(SYS_mkdirat, ENAMETOOLONG, [&] {
    return copy({{"a", "100644", ""}, {"d/b", "100644", ""}}) && left.size() == 1;
  });
  if (copied_both) EXPECT_TRUE(*copied_both) << joined(left, "\n");

  // From the second file on, nothing can be opened.
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  auto copied = copy_files(q, git, {{"gone", "100644", ""}, {"a", "100644", ""}}, root + "/copies", 1 << 20,
                           [&](const std::string&, const std::string&) {
                             rlimit none{0, before.rlim_max};
                             ::setrlimit(RLIMIT_NOFILE, &none);
                           });
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(copied);
  EXPECT_TRUE(fs::exists(root + "/copies/a")) << "the earlier copy stays";
}

TEST_F(DiskErrors, AQuestionThatGitCannotAnswerIsNotANo) {
  auto q = quarantine();
  auto git = runner();
  put(q.tree() + "/.gitattributes", "* filter=lfs\n");
  put(q.tree() + "/a", "text\n");
  q.filters = {"lfs"};
  EXPECT_EQ(prepare_files(q, git, q.tree(), {"a"}, true).value().count("a"), 1u);
  EXPECT_TRUE(ignored_of(q, git, {"a"}));
  // Without a HEAD, git does not accept the directories.
  fs::remove(q.rules.path() + "/HEAD");
  fs::remove(q.repository.path() + "/HEAD");
  EXPECT_FALSE(prepare_files(q, git, q.tree(), {"a"}, true)) << "filters would be skipped";
  EXPECT_FALSE(ignored_of(q, git, {"a"}));
}

// One file must not keep everything else from coming home.
TEST_F(Workspace, AFileThatDoesNotFitIsLeftBehindAlone) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::copy);
  unpack();
  git("checkout -qb work", inside);
  put(inside + "/small.txt", "small\n");
  git("add small.txt", inside);
  git("commit -qm small", inside);
  sh("cd " + inside + " && head -c 600000 /dev/urandom >0.img && cp 0.img a.txt && echo later >z.txt");
  run({"tar", "--format=pax", "--sort=name", "-C", root + "/inside", "-cf", root + "/in.tar", "workspace"});
  auto back = take(*read_file(root + "/in.tar"), sent.base, "", 500000);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(git("show refs/bottle/s1/heads/work:small.txt"), "small");
  EXPECT_EQ(git("show refs/bottle/s1/worktree:z.txt"), "later");
  EXPECT_EQ(git("diff --name-only " + sent.base + " refs/bottle/s1/worktree"), "small.txt\nz.txt");
  EXPECT_TRUE(flagged(*back, "0.img, a.txt: not brought home, because it is larger than what bottle sorts"));
  EXPECT_EQ(back->skipped, 2u);
  EXPECT_TRUE(back->is_incomplete);
}

TEST_F(Workspace, AnObjectThatDoesNotFitLeavesTheFiles) {
  make_repository();
  auto sent = pack(manifest::WorkspaceMode::copy);
  unpack();
  git("checkout -qb work", inside);
  sh("cd " + inside + " && head -c 600000 /dev/urandom >noise");
  git("add noise", inside);
  git("commit -qm noise", inside);
  sh("cd " + inside + " && rm noise && echo later >z.txt");
  run({"tar", "--format=pax", "--sort=name", "-C", root + "/inside", "-cf", root + "/in.tar", "workspace"});
  auto back = take(*read_file(root + "/in.tar"), sent.base, "", 500000);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_TRUE(flagged(*back, "larger than what bottle sorts"));
  EXPECT_EQ(git("show refs/bottle/s1/worktree:z.txt"), "later");
  EXPECT_TRUE(back->is_incomplete);
}

// Large files that are as they were sent are no work, however many there are.
TEST_F(Workspace, UnchangedLargeFilesNeedNoRoom) {
  make_repository();
  for (int i = 0; i < 3; ++i)
    sh("head -c 5M /dev/zero | tr '\\0' " + std::to_string(i) + " >" + repo + "/large" + std::to_string(i));
  auto sent = pack(manifest::WorkspaceMode::copy);
  unpack();
  put(inside + "/z.txt", "later\n");
  run({"tar", "--format=pax", "--sort=name", "-C", root + "/inside", "-cf", root + "/in.tar", "workspace"});
  for (uint64_t most : {6 << 20, 1 << 20}) {
    auto back = take(*read_file(root + "/in.tar"), sent.base, "", most);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->skipped, 0u) << joined(back->flagged);
    EXPECT_EQ(back->files, 1u);
  }
}

TEST_F(DiskErrors, AWorkspaceMayHaveMoreRepositoriesThanAProcessHasDescriptors) {
  fs::create_directories(root + "/q");
  std::vector<std::unique_ptr<Quarantine>> all;
  for (int i = 0; i < 100; ++i) {
    auto q = std::make_unique<Quarantine>();
    q->root = root + "/q" + std::to_string(i);
    q->place = i == 0 ? "" : "r" + std::to_string(i);
    q->git_at = i == 0 ? ".git" : q->place + "/.git";
    q->known_objects = root + "/none/objects";
    q->repository = git::Directory::make(q->root + "/repository", {}).value();
    all.push_back(std::move(q));
  }
  std::string object = "objects/aa/" + std::string(38, 'b');
  auto bytes = craft([&](docker::TarWriter& tar) {
    for (const char* name : {"file", "other"})  // the second time, the first repositories are in use again
      for (const auto& q : all) {
        EXPECT_TRUE(tar.file("workspace/" + q->shown(name), 0644, 0, 0, name));
        EXPECT_TRUE(tar.file("workspace/" + q->git_at + "/" + object, 0644, 0, 0, name));
      }
  });
  auto git = runner();
  struct rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  struct rlimit few{.rlim_cur = 64, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  auto filled = fill(all, git, limits, source_of(bytes));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(filled) << filled.error().what;
  for (const auto& q : all)
    for (const std::string& path : {q->tree() + "/file", q->tree() + "/other", q->repository.path() + "/" + object})
      EXPECT_TRUE(fs::exists(path)) << path;
}

}  // namespace
}  // namespace bottle::workspace
