// Tests that the operator's files get all of a patch or stay as they were.
#include "workspace/receiving/take.h"

#include <signal.h>

#include "base/files/unreadable_test.h"
#include "workspace/files/replacement.h"
#include "workspace/workspace_test.h"

namespace bottle::workspace {
namespace {

class Take : public Workspace {
 protected:
  void SetUp() override {
    Workspace::SetUp();
    tree = root + "/tree";
    put(tree + "/a.txt", "one\n");
    put(tree + "/b/c.txt", "two\n");
    put(tree + "/gone/deep/d.txt", "three\n");
    put(tree + "/run.sh", "#!/bin/sh\n");
    ::chmod((tree + "/run.sh").c_str(), 0640);
  }

  // Makes a patch of what the commands change in a copy of the tree.
  std::string patch(const std::string& commands) {
    std::string copy = root + "/copy", file = root + "/patch";
    fs::remove_all(copy);
    fs::copy(tree, copy, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    std::map<std::string, std::string> files;
    bool has_files_only = true;
    for (const auto& each : fs::recursive_directory_iterator(copy)) {
      if (fs::is_regular_file(each.symlink_status()) && ::access(each.path().c_str(), X_OK) != 0)
        files[each.path().lexically_relative(copy)] = *read_file(each.path());
      else has_files_only &= each.is_directory() && !each.is_symlink();
    }
    // A commit of such files need not be made again.
    if (has_files_only) commit(copy, files);
    else sh("cd " + copy + " && git init -q && git add -A && git commit -q -m before");
    sh("cd " + copy + " && " + commands + " && git add -A && git diff --cached --binary -M HEAD >" + file);
    return file;
  }
  void sh(const std::string& command) {
    run({"sh", "-c",
         "export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t; " + command});
  }
  // Makes the tree a repository in which git converts *.bin.
  void add_filter(const std::string& name, const std::string& clean) {
    put(tree + "/.gitattributes", "*.bin filter=" + name + " -text\n");
    put(root + "/clean", clean);
    sh("cd " + tree + " && git init -q && git config filter." + name + ".clean 'sh " + root +
       "/clean' && git add -A && git commit -q -m before");
  }
  // Makes a patch of what the commands change in a clone without that filter, as in a bottle.
  std::string unfiltered_patch(const std::string& commands) {
    std::string copy = root + "/copy", file = root + "/patch";
    sh("rm -rf " + copy + " && git clone -q " + tree + " " + copy + " && cd " + copy + " && " + commands +
       " && git add -A && git diff --cached --binary --full-index --no-renames HEAD >" + file);
    return file;
  }
  Result<> take(const std::string& file) { return apply({{tree, file}}, root + "/scratch"); }

  // Describes every entry of the tree: its path, its kind, its permissions and its content.
  std::string state() const {
    std::map<std::string, std::string> entries;
    for (const auto& each : fs::recursive_directory_iterator(tree)) {
      auto status = each.symlink_status();
      std::string text = std::to_string(static_cast<int>(status.type())) + " ";
      if (fs::is_symlink(status)) text += fs::read_symlink(each.path()).string();
      if (fs::is_regular_file(status))
        text += std::to_string(static_cast<int>(status.permissions())) + " " + *read_file(each.path().string());
      entries[each.path().string()] = text;
    }
    std::string all;
    for (const auto& [path, text] : entries) all += path + " " + text + "\n";
    return all;
  }

  std::string tree;
};

TEST_F(Take, EveryKindOfChangeArrives) {
  std::string file = patch(
      "echo changed >a.txt && mkdir new && printf 'x\\0y' >new/bin && git mv b/c.txt b/moved.txt && rm -r gone && "
      "echo now-a-file >gone && ln -s a.txt link && chmod +x run.sh");
  auto taken = take(file);
  ASSERT_TRUE(taken) << taken.error().what;
  EXPECT_EQ(*read_file(tree + "/a.txt"), "changed\n");
  EXPECT_EQ(*read_file(tree + "/new/bin"), std::string("x\0y", 3));
  EXPECT_EQ(*read_file(tree + "/b/moved.txt"), "two\n");
  EXPECT_FALSE(fs::exists(tree + "/b/c.txt"));
  EXPECT_EQ(*read_file(tree + "/gone"), "now-a-file\n");
  EXPECT_EQ(fs::read_symlink(tree + "/link"), "a.txt");
  EXPECT_EQ(static_cast<int>(fs::status(tree + "/run.sh").permissions()), 0750)
      << "others may read no more than before";
  EXPECT_EQ(take(file).error().what.substr(0, 25), "the patch does not apply ");
  auto names = [&] {
    std::set<std::string> all;
    for (const auto& each : fs::directory_iterator(tree)) all.insert(each.path().filename());
    return all;
  };
  EXPECT_EQ(names(), (std::set<std::string>{"a.txt", "b", "gone", "link", "new", "run.sh"})) << "something is left";
  taken = take(patch("rm gone link && mkdir -p gone && echo x >gone/y"));
  ASSERT_TRUE(taken) << taken.error().what;
  EXPECT_EQ(*read_file(tree + "/gone/y"), "x\n");
  ASSERT_TRUE(take(patch("rm -r gone")));
  EXPECT_FALSE(fs::exists(tree + "/gone")) << "git, too, removes directories that become empty";
}

TEST_F(Take, ADiskErrorChangesNothing) {
  std::string file = patch("echo changed >a.txt && echo new >b/new.txt && rm run.sh && ln -s a.txt link"),
              before = state();
  for (int call : {SYS_renameat, SYS_fchmodat, SYS_mkdirat}) {
    auto taken = with_failing(call, ENOSPC, [&] { return take(file).has_value(); });
    if (!taken) GTEST_SKIP() << "this system cannot inject errors";
    EXPECT_EQ(state(), before) << call;
  }
  EXPECT_TRUE(take(file));
}

// git removes the old files before it writes the new ones.
TEST_F(Take, AFileThatDoesNotFitChangesNothing) {
  std::string file = patch("echo changed >a.txt && rm run.sh && head -c 300000 /dev/urandom >big"), before = state();
  pid_t child = ::fork();
  if (child == 0) {
    rlimit small{200'000, 200'000};
    ::signal(SIGXFSZ, SIG_IGN);
    ::_exit(::setrlimit(RLIMIT_FSIZE, &small) == 0 && !take(file) ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(state(), before);
}

TEST_F(Take, AFileSystemWithoutHardLinksWorks) {
  std::string file = patch("echo changed >a.txt && echo new >b/new.txt && rm run.sh");
  auto taken = with_failing(SYS_linkat, EPERM, [&] { return take(file).has_value(); });
  if (!taken) GTEST_SKIP() << "this system cannot inject errors";
  EXPECT_TRUE(*taken);
  EXPECT_EQ(*read_file(tree + "/a.txt"), "changed\n");
}

// The last file cannot be moved into place, after the others were.
TEST_F(Take, AFailureInTheMiddleIsUndone) {
  for (bool has_links : {true, false}) {
    auto files = Replacement::begin(tree, {"a.txt", "gone/deep/d.txt", "new/x.txt", "run.sh", "z/last.txt"}).value();
    put(files->staged() + "/a.txt", "changed\n");
    put(files->staged() + "/new/x.txt", "new\n");
    put(files->staged() + "/z/last.txt", "last\n");
    fs::remove(files->staged() + "/gone/deep/d.txt");
    std::string before = (put(tree + "/z", "in the way\n"), "");
    std::vector<std::unique_ptr<Replacement>> all;
    all.push_back(std::move(files));
    auto work = [&] { return put_in_place(all).has_value(); };
    auto done = has_links ? std::optional(work()) : with_failing(SYS_linkat, EPERM, work);
    all.clear();
    EXPECT_FALSE(done.value_or(false));
    EXPECT_EQ(*read_file(tree + "/a.txt"), "one\n");
    EXPECT_EQ(*read_file(tree + "/gone/deep/d.txt"), "three\n");
    EXPECT_FALSE(fs::exists(tree + "/new"));
    fs::remove(tree + "/z");
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(tree), fs::directory_iterator()), 4) << "something is left";
}

TEST_F(Take, AFileThatChangesMeanwhileIsKept) {
  auto files = Replacement::begin(tree, {"a.txt", "b/c.txt"}).value();
  put(files->staged() + "/a.txt", "changed\n");
  put(tree + "/b/c.txt", "the operator's new line\n");
  std::vector<std::unique_ptr<Replacement>> all;
  all.push_back(std::move(files));
  auto done = put_in_place(all);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::conflict) << done.error().what;
  EXPECT_EQ(*read_file(tree + "/a.txt"), "one\n");
  EXPECT_EQ(*read_file(tree + "/b/c.txt"), "the operator's new line\n");
}

TEST_F(Take, NoLinkIsFollowed) {
  std::string file = patch("echo changed >b/c.txt && echo x >b/new.txt");
  fs::rename(tree + "/b", root + "/outside");
  fs::create_symlink(root + "/outside", tree + "/b");
  EXPECT_FALSE(take(file));
  std::vector<std::unique_ptr<Replacement>> all;
  all.push_back(Replacement::begin(tree, {"a.txt", "b/c.txt"}).value());
  EXPECT_FALSE(fs::exists(all[0]->staged() + "/b/c.txt"));
  put(all[0]->staged() + "/a.txt", "changed\n");
  put(all[0]->staged() + "/b/c.txt", "changed\n");
  EXPECT_FALSE(put_in_place(all));
  all.clear();
  EXPECT_EQ(*read_file(tree + "/a.txt"), "one\n");
  EXPECT_EQ(*read_file(root + "/outside/c.txt"), "two\n");
}

TEST_F(Take, ADirectoryBecomesALinkAndALinkADirectory) {
  auto taken = take(patch("git mv b e && ln -s e b"));
  ASSERT_TRUE(taken) << taken.error().what;
  EXPECT_EQ(fs::read_symlink(tree + "/b"), "e");
  EXPECT_EQ(*read_file(tree + "/e/c.txt"), "two\n");
  taken = take(patch("rm b && git mv e b && ln -s b e && echo x >b/new.txt"));
  ASSERT_TRUE(taken) << taken.error().what;
  EXPECT_TRUE(fs::is_directory(fs::symlink_status(tree + "/b")));
  EXPECT_EQ(*read_file(tree + "/b/c.txt") + *read_file(tree + "/b/new.txt"), "two\nx\n");
  EXPECT_EQ(fs::read_symlink(tree + "/e"), "b");
}

// In the patch, such a file is a pointer. The operator's file has the content.
TEST_F(Take, FilesOfGitLfsAreRemoved) {
  for (const char* name : {"gone.bin", "link.bin", "mode.bin"}) put(tree + "/" + name, std::string(3000, 'x') + name);
  put(tree + "/empty.bin", "");
  add_filter("lfs",
             "cat >$0.in; test -s $0.in || exit 0\n"
             "echo version https://git-lfs.github.com/spec/v1\n"
             "echo oid sha256:$(sha256sum <$0.in | cut -c -64)\n"
             "echo size $(wc -c <$0.in)\n");
  ASSERT_NE(run({"git", "-C", tree, "show", "HEAD:gone.bin"}).find("size 3008"), std::string::npos);
  std::string file = unfiltered_patch(
      "rm gone.bin link.bin empty.bin && ln -s a.txt link.bin && chmod +x mode.bin && echo changed >a.txt");
  put(tree + "/gone.bin", "the operator's");
  std::string before = state();
  auto taken = take(file);
  ASSERT_FALSE(taken);
  EXPECT_NE(taken.error().todo.find("git -C " + tree + " apply " + file), std::string::npos) << taken.error().todo;
  EXPECT_EQ(state(), before);
  put(tree + "/gone.bin", std::string(3000, 'x') + "gone.bin");
  taken = take(file);
  ASSERT_TRUE(taken) << taken.error().what;
  EXPECT_FALSE(fs::exists(tree + "/gone.bin") || fs::exists(tree + "/empty.bin"));
  EXPECT_EQ(fs::read_symlink(tree + "/link.bin"), "a.txt");
  EXPECT_EQ(*read_file(tree + "/mode.bin"), std::string(3000, 'x') + "mode.bin");
  EXPECT_NE(::access((tree + "/mode.bin").c_str(), X_OK), -1);
  EXPECT_EQ(*read_file(tree + "/a.txt"), "changed\n");
}

// Only git's filter can make the new content.
TEST_F(Take, OtherChangesUnderAFilterNameTheCommandThatMakesThem) {
  put(tree + "/p.bin", std::string(3000, 'x'));
  for (const std::string& name : {"lfs", "crypt"}) {
    add_filter(name, name == "lfs"
                         ? "echo version https://git-lfs.github.com/spec/v1\necho oid sha256:$(sha256sum | cut "
                           "-c -64)\necho size 3000\n"
                         : "tr x y");
    std::string file = unfiltered_patch(name == "lfs" ? "sed -i 's/:..../:0000/' p.bin" : "rm p.bin"), before = state();
    auto taken = take(file);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Code::conflict);
    EXPECT_NE(taken.error().todo.find("git -C " + tree + " apply " + file), std::string::npos) << taken.error().todo;
    EXPECT_EQ(state(), before);
  }
}

TEST_F(Take, WhatAnInterruptedRunLeftIsNamed) {
  std::string file = patch("echo changed >a.txt");
  put(tree + "/.bottle-apply-1234/old/a.txt", "one\n");
  auto taken = take(file);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::conflict);
  EXPECT_NE(taken.error().todo.find(".bottle-apply-1234/old"), std::string::npos) << taken.error().todo;
  EXPECT_EQ(*read_file(tree + "/a.txt"), "one\n");
  // Here, all files were in place, and only the directory was not removed.
  fs::rename(tree + "/.bottle-apply-1234", tree + "/.bottle-apply-1234.done");
  ASSERT_TRUE(take(file));
  EXPECT_FALSE(fs::exists(tree + "/.bottle-apply-1234.done"));
}

TEST_F(Take, APatchCannotLookLikeAnInterruptedRun) {
  auto taken = take(patch("mkdir -p .bottle-apply-1/old && echo x >.bottle-apply-1/old/a.txt"));
  ASSERT_FALSE(taken);
  EXPECT_NE(taken.error().what.find(".bottle-apply-1/old/a.txt has a name"), std::string::npos) << taken.error().what;
  EXPECT_FALSE(fs::exists(tree + "/.bottle-apply-1"));
  EXPECT_TRUE(take(patch("echo changed >a.txt")));
}

TEST_F(Take, ADirectoryThatStaysKeepsItsMode) {
  fs::create_directories(tree + "/private/sub");
  put(tree + "/private/sub/x", "x\n");
  ::chmod((tree + "/private").c_str(), 0710);
  ASSERT_TRUE(take(patch("git mv private/sub/x private/y")));
  EXPECT_EQ(static_cast<int>(fs::status(tree + "/private").permissions()), 0710);
  EXPECT_FALSE(fs::exists(tree + "/private/sub"));
}

// Another program puts a file into a directory that must go again.
TEST_F(Take, EverythingElseIsPutBack) {
  put(root + "/second/s.txt", "second\n");
  std::vector<std::unique_ptr<Replacement>> all;
  all.push_back(Replacement::begin(root + "/second", {"s.txt"}).value());
  put(all[0]->staged() + "/s.txt", "changed\n");
  all.push_back(Replacement::begin(tree, {"a.txt", "new/x.txt"}).value());
  put(all[1]->staged() + "/a.txt", "changed\n");
  put(all[1]->staged() + "/new/x.txt", "new\n");
  for (auto& each : all) ASSERT_TRUE(each->put_in_place());
  put(tree + "/new/other", "of another program\n");
  for (auto& each : all) EXPECT_TRUE(each->put_back());
  EXPECT_EQ(*read_file(tree + "/a.txt"), "one\n");
  EXPECT_EQ(*read_file(root + "/second/s.txt"), "second\n");
  EXPECT_FALSE(fs::exists(tree + "/new/x.txt"));
  EXPECT_TRUE(fs::exists(tree + "/new/other"));
}

TEST_F(Take, ASignalLeavesNothingInTheDirectory) {
  std::string file = patch("echo changed >a.txt"), before = state();
  pid_t child = ::fork();
  if (child == 0) {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    ::raise(SIGTERM);  // stays pending until apply() can be interrupted
    (void)take(file);
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(state(), before);
}

// cp replaces neither a file with a directory nor a directory with a file.
TEST_F(Take, TheOperatorCopiesWhereAFileBecameADirectory) {
  const std::string files = root + "/files";
  put(files + "/b/c.txt", "changed\n");
  EXPECT_EQ(copy_command(files, tree), "cp -Ri " + files + "/. " + tree + "/");
  for (const std::string path : {"b", "a.txt/new"}) {
    fs::remove_all(files);
    put(files + "/" + path, "changed\n");
    EXPECT_EQ(copy_command(files, tree),
              "# Copy the files in " + files + " to " + tree +
                  " yourself, because one of the two has a directory where the other has a file: " +
                  path.substr(0, path.find('/')));
  }
}

}  // namespace
}  // namespace bottle::workspace
