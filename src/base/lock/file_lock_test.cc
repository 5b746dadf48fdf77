#include "base/lock/file_lock.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "base/files/file.h"
#include "base/files/unreadable_test.h"
#include "base/ids.h"

namespace bottle {
namespace {

class Lock : public ::testing::Test {
 protected:
  Lock() { std::filesystem::create_directory(directory); }
  ~Lock() override { std::filesystem::remove_all(directory); }

  // Runs `body` in another process, and returns what it returned.
  template <class Body>
  static bool elsewhere(Body body) {
    pid_t child = ::fork();
    if (child == 0) ::_exit(body() ? 1 : 0);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
  }

  std::string directory = std::filesystem::temp_directory_path() / ("lock-" + random_hex(6));
  std::string path = directory + "/lock";
  FileLock::Opening making{O_RDWR | O_CREAT, 0600};
};

TEST_F(Lock, KeepsOthersOutWhileItIsHeld) {
  EXPECT_EQ(FileLock::try_take(path).error().code, Code::not_found);
  EXPECT_FALSE(FileLock::is_taken(path));
  {
    auto lock = FileLock::try_take(path, making);
    ASSERT_TRUE(lock) << lock.error().what;
    auto is_refused = [&] {
      auto second = FileLock::try_take(path);
      return !second && second.error().code == Code::conflict;
    };
    EXPECT_TRUE(elsewhere(is_refused));
    EXPECT_TRUE(elsewhere([&] { return FileLock::is_taken(path); }));
    auto late = FileLock::take(path, {}, Deadline::in_ms(30));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Code::timed_out);
  }
  EXPECT_TRUE(elsewhere([&] { return FileLock::try_take(path).has_value(); }));
  EXPECT_FALSE(FileLock::is_taken(path));
}

TEST_F(Lock, IsOnTheFileThatHasTheName) {
  auto first = FileLock::try_take(path, making);
  ASSERT_TRUE(first);
  std::optional<FileLock> second;
  int waits = 0;
  auto third = FileLock::take(path, making, Deadline::never(), [&]() -> Result<> {
    // Its holder removes the file, another process makes and locks one of that name, and goes.
    if (++waits == 1) {
      std::filesystem::remove(path);
      second = TRY(FileLock::try_take(path, making));
    } else {
      second.reset();
    }
    return {};
  });
  ASSERT_TRUE(third);
  EXPECT_EQ(waits, 2);
  struct stat mine{}, there{};
  ASSERT_EQ(::fstat(third->fd(), &mine), 0);
  ASSERT_EQ(::stat(path.c_str(), &there), 0);
  EXPECT_EQ(mine.st_ino, there.st_ino);
}

TEST_F(Lock, AWaitEndsWithTheErrorOfItsCallback) {
  auto held = FileLock::try_take(path, making);
  auto stopped = FileLock::take(path, {}, Deadline::never(), [] { return fail(Code::canceled, "stopped"); });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::canceled);
}

// Another process that has the lock would be the wrong explanation, and nothing would end a wait for it.
TEST_F(Lock, AFileSystemWithoutLocksIsAnError) {
  ASSERT_TRUE(write_file_atomically(path, ""));
  auto fails = with_failing(SYS_flock, ENOLCK, [&] {
    auto lock = FileLock::take(path, {}, Deadline::never());
    return !lock && lock.error().what == "locking " + path + ": No locks available" && !FileLock::is_taken(path);
  });
  if (!fails) GTEST_SKIP() << "this system cannot inject errors";
  EXPECT_TRUE(*fails);
}

// NFS makes a lock of a byte range out of it, which needs a descriptor for writing.
TEST_F(Lock, IsOnADescriptorForWriting) {
  auto lock = FileLock::try_take(path, making);
  ASSERT_TRUE(lock);
  EXPECT_EQ(::fcntl(lock->fd(), F_GETFL) & O_ACCMODE, O_RDWR);
  EXPECT_EQ(::fcntl(lock->fd(), F_GETFD), FD_CLOEXEC);
}

}  // namespace
}  // namespace bottle
