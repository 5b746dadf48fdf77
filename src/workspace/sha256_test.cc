// Tests repositories whose object ids are SHA-256, and so longer than SHA-1 ids.
#include "workspace/agent_work_test.h"

namespace bottle::workspace {
namespace {

using manifest::WorkspaceMode;

class Sha256 : public AgentWork {
 protected:
  void SetUp() override {
    AgentWork::SetUp();
    fs::remove_all(repo + "/.git");
    git("init -q -b main --object-format=sha256");
    put(repo + "/.gitignore", "*.log\n");
    git("add -A");
    git("commit -qm first");
  }
};

TEST_F(Sha256, ARepositoryIsSent) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  EXPECT_EQ(git::format_of_id(sent.base), git::ObjectFormat::sha256);
  EXPECT_EQ(git("rev-parse HEAD", inside), sent.base);
  git("fsck --strict", inside);
}

TEST_F(Sha256, RemovedFilesComeBackAsRemoved) {
  for (const auto& [mode, command] : std::vector<std::pair<WorkspaceMode, std::string>>{
           {WorkspaceMode::clone, "rm dir/b.txt"},
           {WorkspaceMode::copy, "git rm -q dir/b.txt && " + commit_ + "-m gone"},
           {WorkspaceMode::clone, "git rm -q --cached dir/b.txt && rm dir/b.txt"},
           {WorkspaceMode::copy, "echo n > n && git add n && " + commit_ + "-m new && rm n dir/b.txt"},
       }) {
    auto back = after(mode, command + " && echo more >> a.txt");
    EXPECT_EQ(git("diff --name-status main refs/bottle/s1/worktree"), "M\ta.txt\nD\tdir/b.txt") << command;
    EXPECT_EQ(refs().find("staged"), std::string::npos) << command << "\n" << back.text;
  }
}

TEST_F(Sha256, WhatIsStagedAndRemovedComesBack) {
  auto back = after(WorkspaceMode::copy, "git rm -q --cached a.txt && echo s > s && git add s && rm s");
  EXPECT_EQ(git("diff --name-status main refs/bottle/s1/staged"), "D\ta.txt\nA\ts") << back.text;
}

TEST_F(Sha256, AStagedFileThatIsAlsoOnTheDiskIsNotMentioned) {
  auto back = after(WorkspaceMode::copy, "echo x > x.log && git add -f x.log");
  EXPECT_FALSE(says(back, "staged")) << back.text;
  EXPECT_EQ(refs(), "");
}

TEST_F(Sha256, ALinkThatWasNotSentMayBeMadeAgain) {
  sh("ln -s /etc/hostname " + repo + "/out && cd " + repo + " && git add out && " + commit_ + "-m link");
  auto back = after(WorkspaceMode::clone, "ln -s /etc/hostname out");
  EXPECT_FALSE(flagged(back, "not brought home"));
  EXPECT_EQ(back.skipped, 0u) << back.text;
}

TEST_F(Sha256, FilesAreRecognizedWithoutARecord) {
  auto sent = pack(WorkspaceMode::clone);
  unpack();
  fs::remove_all(root + "/sent");
  sh("chmod 600 " + inside + "/a.txt");
  auto back = come_home(sent.base);
  EXPECT_TRUE(says(back, "can hold: a.txt\n")) << back.text;
}

TEST_F(Sha256, BlobIdsAreThoseOfGit) {
  for (const auto& content : {std::string(), std::string("one\n")}) {
    put(repo + "/x", content);
    EXPECT_EQ(blob_id(git::ObjectFormat::sha256, content), git("hash-object --no-filters x"));
  }
}

}  // namespace
}  // namespace bottle::workspace
