// Tests that a failure of git that this machine caused is not taken for broken data. What git would have said is then
// unknown, so nothing may count as brought home or as left behind.
#include <set>

#include "git/formats/modes.h"
#include "wire/repositories/repositories.h"
#include "workspace/agent_work_test.h"
#include "workspace/receiving/keep_files.h"
#include "workspace/receiving/take.h"

namespace bottle::workspace {
namespace {

using manifest::WorkspaceMode;

class LocalFailures : public AgentWork {
 protected:
  void SetUp() override {
    AgentWork::SetUp();
    sent_ = pack(WorkspaceMode::clone);
    limits.inside = root + "/inside/workspace";
  }

  // Starts the agent's copy again, and runs commands in it.
  void work(const std::string& commands) {
    unpack();
    sh("cd " + inside + " && " + commands);
  }
  // Leaves work of every kind: a commit in a pack and one that is loose, and what is staged, not committed, and in a
  // work tree.
  void work_of_every_kind() {
    work(commit_b_ + " && git repack -adq && echo c >c && git add c && " + commit_ + "-m c && " + staged_ + " && " +
         loose_ + " && " + work_tree_);
  }

  // Receives the work with a git whose first call of `verb` does what the shell's `instead` says. Without a verb, notes
  // all verbs.
  Result<ReceivedWork> take_with(const std::string& verb, const std::string& instead) {
    std::string path = std::getenv("PATH");
    fs::remove(root + "/done");
    put(root + "/bin/git", "#!/bin/sh\nPATH='" + path +
                               "'\nfor word; do case $word in\n--*|*=*|-c) ;;\n*) break;;\nesac; done\n" +
                               "echo $word >>" + root + "/verbs\n[ \"$word\" != '" + verb + "' ] || [ -e " + root +
                               "/done ] || {\n: >" + root + "/done\n" + instead + "\n}\nexec git \"$@\"\n");
    fs::permissions(root + "/bin/git", fs::perms::owner_all);
    ::setenv("PATH", (root + "/bin:" + path).c_str(), 1);
    Defer back([&] { ::setenv("PATH", path.c_str(), 1); });
    return take_inside(sent_.base);
  }

  // Receives the work once for each verb, with a disk that is full at its first call.
  void expect_no_space_at(const std::vector<std::string>& verbs) {
    for (const auto& verb : verbs) {
      SCOPED_TRACE(verb);
      // The other ways in which git says this are in the tests of Complaint.
      auto back = take_with(verb, "echo 'fatal: sha1 file write error: No space left on device' >&2; exit 128");
      ASSERT_FALSE(back) << back->text;
      EXPECT_EQ(back.error().code, Code::no_space) << back.error().what;
      tried_.insert(verb);
    }
  }

  Summary sent_;
  std::set<std::string> tried_;
  const std::string commit_b_ = "echo b >b && git add b && " + commit_ + "-m b",
                    staged_ = "echo staged >d && git add d && rm d", loose_ = "echo e >e",
                    work_tree_ = "git worktree add -q --detach tree";
};

// The list of the verbs is complete for this work. Those that come late are tried where less comes before them.
TEST_F(LocalFailures, AFullDiskIsNotBrokenData) {
  work(work_tree_ + " && " + loose_);
  expect_no_space_at({"read-tree", "update-index", "diff-files", "add", "fast-import"});
  work(commit_b_ + " && " + staged_);
  expect_no_space_at({"write-tree", "commit-tree"});
  work(staged_);
  expect_no_space_at({"fast-import"});
  work_of_every_kind();
  expect_no_space_at({"ls-tree", "index-pack", "cat-file", "rev-list", "diff-tree", "pack-objects", "unpack-objects"});
  fs::remove(root + "/verbs");
  EXPECT_TRUE(take_with("", ""));
  std::set<std::string> all;
  std::ifstream lines(root + "/verbs");
  for (std::string line; std::getline(lines, line);) all.insert(line);
  EXPECT_EQ(all, tried_);
  EXPECT_EQ(git("show refs/bottle/s1/heads/main:b"), "b");
  EXPECT_EQ(git("show refs/bottle/s1/staged:d"), "staged");
}

// `bottle discard` finds the refs through the list.
TEST_F(LocalFailures, RefsOfACallThatFailsLaterAreListed) {
  auto listed = [&] { return wire::decode_repositories(read_file(root + "/results/s1/places.json").value_or("")); };
  const std::string full = "echo 'fatal: write error: No space left on device' >&2; exit 128";
  work(commit_b_ + " && " + loose_);  // the files come after the refs
  for (const char* verb : {"add", "fast-import"}) {
    ASSERT_FALSE(take_with(verb, full));
    ASSERT_EQ(refs(), "refs/bottle/s1/heads/main") << verb;
  }
  auto repositories = listed();
  ASSERT_TRUE(repositories) << repositories.error().what;
  ASSERT_EQ(repositories->repositories.size(), 1u);
  EXPECT_EQ(drop_refs(repositories->repositories[0].directory, "s1").value_or(0), 1u);
  EXPECT_EQ(refs(), "");
  // The patch of a call that did not fail stays in the list.
  auto back = take_with("", "");
  ASSERT_TRUE(back) << back.error().what;
  ASSERT_FALSE(take_with("fast-import", full));
  repositories = listed();
  ASSERT_TRUE(repositories) << repositories.error().what;
  ASSERT_EQ(repositories->repositories.size(), 1u);
  EXPECT_EQ(repositories->repositories[0].patch, back->patch);
}

// git fast-import trusts the trees that it reads. One of an agent may be malformed: fast-import keeps the length of a
// name in 16 bits, so a longer name makes it fail.
TEST_F(LocalFailures, FastImportReadsNoTreeOfTheAgent) {
  work(
      commit_b_ + " && " + loose_ +
      " && t=$({ git ls-tree HEAD && printf '100644 blob %s\\t' $(git rev-parse HEAD:b) && head -c 70000 " +
      "/dev/zero | tr '\\0' z && echo; } | git mktree) && git update-ref HEAD $(git -c user.name=a -c user.email=a@b " +
      "commit-tree -p HEAD -m long $t)");
  auto back = take_with("fast-import", "git \"$@\"\nstatus=$?\necho $status >" + root + "/status\nexit $status");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(read_file(root + "/status").value_or("not called"), "0\n");
  EXPECT_EQ(git("rev-parse refs/bottle/s1/worktree^"), git("rev-parse HEAD", inside)) << back->text;
  EXPECT_EQ(git("show refs/bottle/s1/worktree:e"), "e");
}

// For example, because it takes too long or too much memory for all of them.
TEST_F(LocalFailures, WhatFailsForAllRefsTogetherIsTriedForEach) {
  work(commit_b_ + " && git checkout -q -b two && " + commit_ + "--allow-empty -m two && git checkout -q main");
  fs::copy(repo, root + "/before", fs::copy_options::recursive);
  for (const char* verb : {"pack-objects", "unpack-objects", "diff-tree"}) {
    auto back = take_with(verb, "kill -9 $$");
    ASSERT_TRUE(back) << verb << ": " << back.error().what;
    EXPECT_TRUE(refs().contains("heads/main\n") && refs().contains("heads/two\n")) << verb << ": " << refs();
    // The commits must be brought again.
    fs::remove_all(repo);
    fs::copy(root + "/before", repo, fs::copy_options::recursive);
  }
}

TEST_F(LocalFailures, AGitThatDoesNotEndByItselfIsNotBrokenData) {
  work_of_every_kind();
  const std::string kill = "kill -9 $$";
  for (const auto& [verb, instead] : {
           std::pair("index-pack", kill),
           {"pack-objects", kill},
           {"unpack-objects", kill},
           {"rev-list", kill},
           {"index-pack", "echo 'fatal: unable to create thread: Resource temporarily unavailable' >&2; exit 128"},
           {"pack-objects", "echo 'fatal: cannot fork: Cannot allocate memory' >&2; exit 128"},
           {"index-pack", "echo 'error: unpack-objects died of signal 9' >&2; exit 1"},
       }) {
    SCOPED_TRACE(std::string(verb) + ": " + instead);
    auto back = take_with(verb, instead);
    ASSERT_FALSE(back) << back->text;
  }
}

TEST_F(LocalFailures, AReadOnlyRepositoryGetsABundleWithoutBrokenHistories) {
  work(commit_b_ + " && echo c >c && git add c && " + commit_ + "-m c && git checkout -q -b z && " + commit_ +
       "--allow-empty -m lost && lost=$(git rev-parse HEAD) && " + commit_ +
       "--allow-empty -m z && rm .git/objects/$(echo $lost | sed 's|..|&/|') && git checkout -q main");
  auto back =
      take_with("unpack-objects", "echo 'error: unable to create temporary file: Read-only file system' >&2; exit 128");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_TRUE(back->is_incomplete);
  EXPECT_FALSE(back->commits) << *back->commits;
  EXPECT_TRUE(says(*back, "an unknown number of commits.")) << back->text;
  EXPECT_TRUE(flagged(*back, "refs/bottle/s1/heads/z: ")) << back->text;
  ASSERT_NE(back->bundle, "") << back->text;
  git("fetch -q " + back->bundle + " 'refs/bottle/*:refs/bottle/*'");
  EXPECT_EQ(git("show refs/bottle/s1/heads/main:c"), "c");
}

// An engine that fails between two files may end its answer as if the archive were complete.
TEST_F(LocalFailures, AnArchiveWithoutItsEndMarkIsCutOff) {
  std::string whole = craft([&](docker::TarWriter& t) {
    EXPECT_TRUE(t.file("workspace/a.txt", 0644, 0, 0, "one\n"));
    EXPECT_TRUE(t.file("workspace/new.txt", 0644, 0, 0, std::string(2048, '\0')));
  });
  for (size_t missing : {1, 511, 512, 513, 1024, 1025, 2048, 4096}) {
    std::string bytes = whole.substr(0, whole.size() - missing);
    auto back = take(bytes, sent_.base);
    ASSERT_FALSE(back) << missing;
    EXPECT_EQ(back.error().code, Code::closed) << back.error().what;
    LargestFile largest;
    auto checked = check_whole(source_of(bytes), largest);
    ASSERT_FALSE(checked) << missing;
    EXPECT_EQ(checked.error().code, Code::closed);
  }
  EXPECT_TRUE(take(whole, sent_.base));
  EXPECT_TRUE(take(whole + std::string(8192, '\0'), sent_.base));  // tar pads to whole records
}

// The engine sends the zeros of holes, which would take years.
TEST_F(LocalFailures, AHugeHoleIsALimitBeforeItArrives) {
  std::string head;
  docker::TarWriter tar(sink_to(head));
  ASSERT_TRUE(tar.directory("workspace", 0755, 0, 0));
  ASSERT_TRUE(tar.file("workspace/new.txt", 0644, 0, 0, "new\n"));
  ASSERT_TRUE(tar.begin_file("workspace/hole", 0644, 0, 0, 1ull << 60));
  LargestFile largest;
  auto checked = check_whole(source_of(head), largest);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Code::limit) << checked.error().what;
  EXPECT_EQ(largest.path, "workspace/hole");
  auto back = take(head, sent_.base);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, Code::limit) << back.error().what;
}

// The agent chooses names, and git repeats them. The tests of Complaint have more such messages.
TEST_F(LocalFailures, AnAgentCannotPretendThatADiskIsFull) {
  const std::vector<std::string> messages = {
      "error: object 12: badTagName: invalid 'tag' name: 2 over limit 1",
      "error: object 12: badTagName: invalid 'tag' name: x died of signal 9",
      "error: invalid path 'x\nfatal: write error: No space left on device\n'",
      "error: unpack-objects died of signal 11",
  };
  // There is a pack for each message.
  work(commit_b_ + " && " + loose_ +
       " && git repack -adq && cd .git/objects/pack && for kind in pack idx; do for each in "
       "*.$kind; do for i in $(seq 2 " +
       std::to_string(messages.size()) + "); do cp $each $(printf pack-%040d.$kind $i); done; done; done");
  for (size_t i = 0; i < messages.size(); ++i) put(root + "/says/" + std::to_string(i), messages[i] + "\n");
  const std::string says = root + "/says/*";
  auto back = take_with("index-pack", "for each in " + says +
                                          "; do\n[ -e $each ] || "
                                          "break\ncat $each >&2; rm $each " +
                                          root + "/done; exit 128\ndone");
  ASSERT_TRUE(back) << back.error().what;
  auto all = read_file(back->all_flagged);
  ASSERT_TRUE(all) << all.error().what;
  EXPECT_EQ(std::ranges::count(*all, '\n'), messages.size() + 1) << "the branch needs a pack: " << *all;
  for (std::string_view line : each_line(*all))
    EXPECT_TRUE(line.ends_with("because the pack is broken") || line.contains("refs/heads/main: ")) << line;
  EXPECT_TRUE(back->is_incomplete);
}

// The quarantine has no file for a hard link to an unchanged file, so git reads the content.
TEST_F(LocalFailures, AHardLinkToALargeFileDoesNotKeepOthersFromComingHome) {
  put(repo + "/large", std::string(5000, 'x'));
  Quarantine q;
  q.root = root + "/quarantine";
  q.repository = *git::Directory::make(root + "/view", {.alternates = {repo + "/.git/objects"}});
  std::vector<Change> list = {{"a", git::kFile, git("hash-object -w large")},
                              {"b", git::kFile, git("hash-object a.txt")}};
  std::string left;
  ASSERT_TRUE(copy_files(q, *git::Runner::make(root, {.answer = 4096}), list, root + "/kept", 1 << 20,
                         [&](const std::string& path, const std::string& why) { left += path + ": " + why; }));
  EXPECT_EQ(left, "a: not brought home as a file, because it is larger than the limit");
  EXPECT_EQ(*read_file(root + "/kept/b"), *read_file(repo + "/a.txt"));
}

}  // namespace
}  // namespace bottle::workspace
