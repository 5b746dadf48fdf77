#include "remote/near/transfers/work_fetcher.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <utility>

#include "base/files/file.h"
#include "base/files/unreadable_test.h"
#include "base/os/process.h"
#include "docker/tar/tar.h"
#include "transfer/delivery.h"

namespace bottle::remote {
namespace {

class WorkFetcherTest : public ::testing::Test {
 protected:
  WorkFetcherTest() {
    char path[] = "/tmp/work_fetcher_test_XXXXXX";
    root_ = ::mkdtemp(path);
    job_.plan.session = "s1";
    job_.plan.workspace = root_ + "/repo";
    job_.directories.sessions = root_ + "/sessions";
    job_.directories.results = root_ + "/results";
    EXPECT_TRUE(make_directories(job_.plan.workspace));
    git({"init", "-q"});
    git({"-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", "first"});
    base_ = git({"rev-parse", "HEAD"});
    base_.pop_back();
  }
  ~WorkFetcherTest() override { std::filesystem::remove_all(root_); }

  std::string git(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"git", "-C", job_.plan.workspace});
    auto done = capture({.argv = arguments});
    EXPECT_TRUE(done && done->status == 0) << (done ? done->err : done.error().what);
    return done ? done->out : "";
  }

  static std::string workspace(const std::string& content) {
    std::string bytes;
    docker::TarWriter tar(sink_to(bytes));
    EXPECT_TRUE(tar.directory("workspace", 0755, 0, 0) && tar.file("workspace/a.txt", 0644, 0, 0, content) &&
                tar.finish());
    return bytes;
  }

  // Returns a far side that delivers these workspaces.
  static WorkFetcher::Fetch far(const std::vector<std::string>& workspaces) {
    return [=](const auto&, const auto& put) -> Result<> {
      for (const auto& bytes : workspaces) TRY(put("workspace.tar", source_of(bytes)));
      return {};
    };
  }

  std::string root_, base_;
  Job job_;
};

// `bottle stop` gives up on a session that says nothing for two minutes.
TEST_F(WorkFetcherTest, SaysHowMuchHasComeOverASlowConnection) {
  std::string whole = workspace("one");
  std::vector<std::string> told;
  auto slow = [&](const auto&, const auto& put) -> Result<> {
    size_t at = 0;
    return put("workspace.tar", [&](char* buffer, size_t room) -> Result<size_t> {
      if (told.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      size_t n = whole.copy(buffer, told.empty() ? 1 : room, at);
      at += n;
      return n;
    });
  };
  ASSERT_TRUE(WorkFetcher(job_, base_).fetch(slow, [&](const std::string& line) { told.push_back(line); }));
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told[0], "fetching the work: 0 MB");
}

// The engine of the machine may fail in the middle of an archive and still end its answer as usual.
TEST_F(WorkFetcherTest, AnArchiveThatIsCutOffIsNotTheWork) {
  std::string whole = workspace("one");
  for (size_t size : {size_t{512}, whole.size() - 1024}) {
    auto fetched = WorkFetcher(job_, base_).fetch(far({whole.substr(0, size)}));
    ASSERT_FALSE(fetched) << size;
    EXPECT_EQ(fetched.error().code, Code::closed) << fetched.error().what;
  }
  EXPECT_TRUE(WorkFetcher(job_, base_).fetch(far({whole})));
}

TEST_F(WorkFetcherTest, TheLargestPartOfAnArchiveIsKeptUntilAllOfItComes) {
  std::string results = job_.directories.results + "/s1", whole = workspace(std::string(5000, 'a'));
  // Sends so many bytes, and then the connection is lost.
  auto broken = [&](size_t size) -> WorkFetcher::Fetch {
    return [&whole, size](const auto&, const auto& put) {
      size_t at = 0;
      return put("workspace.tar", [&](char* buffer, size_t room) -> Result<size_t> {
        size_t n = whole.copy(buffer, std::min(room, size - at), at);
        at += n;
        if (n == 0) return fail(Code::closed, "the connection was lost");
        return n;
      });
    };
  };
  WorkFetcher home(job_, base_);
  for (size_t size : {1000, 4000, 600}) ASSERT_FALSE(home.fetch(broken(size)));
  EXPECT_EQ(read_file(part_in(results)).value_or(""), whole.substr(0, 4000));
  ASSERT_FALSE(home.fetch(far({whole.substr(0, 5000)}))) << "an archive that is cut off ends as usual";
  EXPECT_EQ(read_file(part_in(results)).value_or(""), whole.substr(0, 5000));
  ASSERT_TRUE(write_file_atomically(results + "/workspace.tar.arriving", whole.substr(0, 5500)));
  ASSERT_FALSE(home.fetch(broken(0)));
  EXPECT_EQ(read_file(part_in(results)).value_or(""), whole.substr(0, 5500)) << "an attempt that was killed";
  ASSERT_TRUE(home.fetch(far({whole})));
  for (const auto& file : std::filesystem::directory_iterator(results))
    EXPECT_FALSE(file.path().filename().string().starts_with("workspace.tar")) << file.path();
}

// An agent can make a file of any size from a hole.
TEST_F(WorkFetcherTest, AWorkspaceWithALargeHoleComesHomeWithItsArchive) {
  std::string begin, zeros(1 << 20, '\0');
  docker::TarWriter tar(sink_to(begin));
  constexpr uint64_t kSize = 16 << 20;
  ASSERT_TRUE(tar.directory("workspace", 0755, 0, 0) && tar.file("workspace/a.txt", 0644, 0, 0, "one") &&
              tar.file("outside/b.txt", 0644, 0, 0, "not taken") &&
              tar.begin_file("workspace/disk.img", 0644, 0, 0, kSize));
  auto whole = [&](const auto&, const auto& put) -> Result<> {
    uint64_t at = 0, end = begin.size() + kSize + 1024;
    return put("workspace.tar", [&](char* buffer, size_t room) -> Result<size_t> {
      size_t n = at < begin.size() ? begin.copy(buffer, room, at) : std::min<uint64_t>({room, end - at, zeros.size()});
      if (at >= begin.size()) zeros.copy(buffer, n);
      at += n;
      return n;
    });
  };
  auto fetched = WorkFetcher(job_, base_).fetch(whole);
  ASSERT_TRUE(fetched) << fetched.error().what;
  const auto& work = std::get<wire::WorkResult>(*fetched);
  EXPECT_EQ(git({"show", "refs/bottle/s1/worktree:a.txt"}), "one");
  ASSERT_FALSE(work.archive.empty());
  EXPECT_EQ(std::filesystem::file_size(work.archive), begin.size() + kSize + 1024);
  struct stat archive{};
  ASSERT_EQ(::stat(work.archive.c_str(), &archive), 0);
  EXPECT_LT(archive.st_blocks * 512, 2 << 20);
}

// The part of an earlier attempt would otherwise stay for as long as there is too little room for the whole.
TEST_F(WorkFetcherTest, AFullDiskKeepsNoPartThatTheNextAttemptHasNoRoomFor) {
  std::string results = job_.directories.results + "/s1", whole = workspace(std::string(5000, 'a'));
  ASSERT_TRUE(make_directories(results));
  ASSERT_TRUE(write_file_atomically(part_in(results), whole.substr(0, 4000)));
  auto says_full = [](const auto&, const auto& put) {
    return put("workspace.tar", [](char*, size_t) -> Result<size_t> {
      return fail(Code::limit, "writing: " + std::generic_category().message(ENOSPC));
    });
  };
  ASSERT_FALSE(WorkFetcher(job_, base_).fetch(says_full));
  EXPECT_EQ(read_file(part_in(results)).value_or("").size(), 4000u) << "it was not this disk that was full";
  auto dropped = with_failing(SYS_write, ENOSPC, [&] {
    auto fetched = WorkFetcher(job_, base_).fetch(far({whole}));
    return !fetched && fetched.error().code == Code::no_space && std::filesystem::is_empty(results);
  });
  if (!dropped) GTEST_SKIP() << "this system cannot simulate a full disk";
  EXPECT_TRUE(*dropped);
  EXPECT_TRUE(WorkFetcher(job_, base_).fetch(far({whole})));
}

TEST_F(WorkFetcherTest, ADeliveryBringsOneWorkspace) {
  WorkFetcher home(job_, base_);
  auto checkpoint = home.checkpoint(far({workspace("one"), workspace("two")}));
  ASSERT_FALSE(checkpoint);
  EXPECT_EQ(checkpoint.error().code, Code::protocol);
  EXPECT_EQ(git({"show", "refs/bottle/s1/worktree:a.txt"}), "one");
  auto fetched = home.fetch(far({workspace("three"), workspace("four")}));
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, Code::protocol);
  EXPECT_EQ(git({"show", "refs/bottle/s1/worktree:a.txt"}), "one");
  ASSERT_TRUE(home.fetch(far({workspace("three")})));
  EXPECT_EQ(git({"show", "refs/bottle/s1/worktree:a.txt"}), "three");
  EXPECT_FALSE(*home.checkpoint(far({})));
}

TEST_F(WorkFetcherTest, AFileThatCannotBeOpenedIsNotTakenForMissing) {
  WorkFetcher home(job_, base_);
  std::string kept = job_.directories.results + "/s1/workspace.tar";
  ASSERT_TRUE(make_directories(job_.directories.results + "/s1"));
  ASSERT_TRUE(write_file_atomically(kept, workspace("one").substr(0, 600)));
  auto none = home.fetch(far({}));
  ASSERT_TRUE(none);
  const auto& nothing = std::get<wire::WorkResult>(*none);
  EXPECT_TRUE(nothing.archive.empty() && nothing.error.empty()) << "a part of an earlier fetch is not the work";
  auto gone = home.fetch([](const auto&, const auto& put) { return put(transfer::kGone, source_of("")); });
  EXPECT_TRUE(gone && std::holds_alternative<Gone>(*gone));

  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  auto fetched = home.fetch([&](const auto& words, const auto& put) -> Result<> {
    TRY(far({workspace("two")})(words, put));
    rlimit no_more{0, before.rlim_max};  // the work is saved, but cannot be opened
    ::setrlimit(RLIMIT_NOFILE, &no_more);
    return {};
  });
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(fetched) << "the far side would be told to forget work that is not home";
}

TEST_F(WorkFetcherTest, WorkThatIsHeldIsNeitherAnErrorNorNothing) {
  auto held = WorkFetcher(job_, base_).fetch([](const auto&, const auto& put) -> Result<> {
    return put("held", source_of("no engine\nanswers"));
  });
  ASSERT_TRUE(held && std::holds_alternative<Held>(*held));
  EXPECT_EQ(std::get<Held>(*held).why, "the workspace may still be in its container: no engine | answers");
}

// Advice comes at the end of a reason. A session's name may have 40 characters, and the reason names its things.
TEST_F(WorkFetcherTest, TheWholeReasonOfWorkThatIsHeldIsRepeated) {
  const std::string reason = std::string(1000, 'r') + " (the advice)";
  auto held = WorkFetcher(job_, base_).fetch([&](const auto&, const auto& put) -> Result<> {
    return put("held", source_of(reason));
  });
  ASSERT_TRUE(held && std::holds_alternative<Held>(*held));
  EXPECT_TRUE(std::get<Held>(*held).why.ends_with("r (the advice)")) << std::get<Held>(*held).why;
}

TEST_F(WorkFetcherTest, CheckpointsStopWhenTheyHaveBroughtTooMuch) {
  WorkFetcher home(job_, base_, 2000);
  ASSERT_TRUE(home.checkpoint(far({workspace("one")})));
  std::string noise = *read_file("/proc/sys/kernel/random/uuid");
  for (int i = 0; i < 100; ++i) noise += *read_file("/proc/sys/kernel/random/uuid");
  bool asked = false;
  auto counted = [&](const auto& words, const auto& put) { return asked = true, far({workspace(noise)})(words, put); };
  EXPECT_EQ(home.checkpoint(counted).error().code, Code::limit);
  EXPECT_TRUE(std::exchange(asked, false));
  EXPECT_EQ(home.checkpoint(counted).error().code, Code::limit);
  EXPECT_FALSE(asked);
  ASSERT_TRUE(home.fetch(counted));
  EXPECT_EQ(git({"show", "refs/bottle/s1/worktree:a.txt"}), noise);
}

}  // namespace
}  // namespace bottle::remote
