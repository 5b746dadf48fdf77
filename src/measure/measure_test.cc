#include "measure/measure.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files/file.h"
#include "base/files/unreadable_test.h"

namespace bottle::measure {
namespace {

// Provides a directory for each test, and the time after it was filled.
class MeasureTest : public ::testing::Test {
 protected:
  MeasureTest() {
    char name[] = "/var/tmp/measure-XXXXXX";  // on a disk, because files in memory do not count
    root_ = ::mkdtemp(name);
    write("old", 1 << 20);
    // The clock of file times is coarser than the system clock.
    struct stat st{};
    do {
      write("probe", 1);
      ::stat((root_ + "/probe").c_str(), &st);
      since_ = st.st_ctim;
      ::stat((root_ + "/old").c_str(), &st);
    } while (st.st_ctim.tv_sec == since_.tv_sec && st.st_ctim.tv_nsec == since_.tv_nsec);
    before_ = measured().bytes;
  }
  ~MeasureTest() override { (void)!::system(("chmod -R u+rwx " + root_ + "; rm -rf " + root_).c_str()); }

  int write(const std::string& name, size_t bytes, bool keep = false) {
    int fd = ::open((root_ + "/" + name).c_str(), O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
    std::string block(bytes, 'x');
    EXPECT_TRUE(write_all(fd, block));
    if (bytes > 0) ::fsync(fd);  // makes the file system allocate the blocks
    if (keep) return fd;
    ::close(fd);
    return -1;
  }
  wire::WrittenCount measured() { return measure({root_}, since_, "/proc/self/task/nothing"); }
  uint64_t more() { return (measured().bytes - before_) >> 20; }  // MiB

  std::string root_;
  timespec since_{};
  uint64_t before_ = 0;
};

TEST_F(MeasureTest, CountsNewFilesOnceByTheSpaceTheyOccupy) {
  write("new", 2 << 20);
  EXPECT_EQ(more(), 2u);
  ASSERT_EQ(::link((root_ + "/new").c_str(), (root_ + "/again").c_str()), 0);
  EXPECT_EQ(more(), 2u) << "one file with two names";
  ASSERT_EQ(::truncate((root_ + "/new").c_str(), 1ll << 40), 0);
  EXPECT_EQ(more(), 2u) << "a hole occupies nothing";
  ASSERT_EQ(::mkdir((root_ + "/a").c_str(), 0700), 0);
  write("a/deep", 3 << 20);
  EXPECT_EQ(more(), 5u);
  timespec past[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (root_ + "/a/deep").c_str(), past, 0), 0);
  EXPECT_EQ(more(), 5u) << "a time that its owner can set does not hide it";
  ASSERT_EQ(::symlink("/", (root_ + "/link").c_str()), 0);
  EXPECT_EQ(more(), 5u) << "links are not followed";
  ASSERT_EQ(::chmod((root_ + "/a/deep").c_str(), 0), 0);
  EXPECT_EQ(more(), 5u);
  EXPECT_TRUE(measured().complete);
}

TEST_F(MeasureTest, EmptyFilesCountBecauseInodesRunOut) {
  for (int i = 0; i < 512; ++i) write("empty" + std::to_string(i), 0);
  EXPECT_EQ(more(), 2u);
}

TEST_F(MeasureTest, FindsFilesThatAreDeletedAndOpen) {
  std::string proc = root_ + "/proc";  // contains only this process
  ASSERT_EQ(::mkdir(proc.c_str(), 0700), 0);
  ASSERT_EQ(::symlink("/proc/self", (proc + "/1").c_str()), 0);
  before_ = measured().bytes;
  int fd = write("gone", 4 << 20, true);
  ASSERT_EQ(::unlink((root_ + "/gone").c_str()), 0);
  EXPECT_EQ(more(), 0u);
  EXPECT_EQ((measure({root_}, since_, proc).bytes - before_) >> 20, 4u);
  int same = ::dup(fd);
  EXPECT_EQ((measure({root_}, since_, proc).bytes - before_) >> 20, 4u);
  ::close(same);
  ::close(fd);
  EXPECT_EQ((measure({root_}, since_, proc).bytes - before_) >> 20, 0u);
}

TEST(EarliestStart, FollowsAClockThatWasSetBack) {
  // The process started 1000.5 s after the boot.
  std::string stat = "1 (a) b) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 100050 9 9";
  auto at = [&](time_t real, const std::string& text) {
    return earliest_start({500'000, 200'000'000}, text, {.real = {real, 0}, .boot = {2000, 0}, .ticks = 100});
  };
  timespec same = at(501'000, stat);
  EXPECT_EQ(same.tv_sec, 500'000);
  EXPECT_EQ(same.tv_nsec, 200'000'000) << "the clock was not changed";
  EXPECT_EQ(at(600'000, stat).tv_sec, 500'000) << "the clock was set forward";
  timespec back = at(401'000, stat);
  EXPECT_EQ(back.tv_sec, 400'000);
  EXPECT_EQ(back.tv_nsec, 500'000'000);
  EXPECT_EQ(at(10, stat).tv_sec, 0) << "before 1970";
  for (const char* bad : {"", "1 (a", "1 (a) S 0", "1 (a) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 x"})
    EXPECT_EQ(at(401'000, bad).tv_sec, 500'000) << bad;
}

TEST_F(MeasureTest, ReportsIfSomethingCouldNotBeRead) {
  std::string path = root_;
  for (int i = 0; i < 450; ++i) ASSERT_EQ(::mkdir((path += "/d").c_str(), 0700), 0);
  EXPECT_FALSE(measured().complete);
  EXPECT_TRUE(measure({root_ + "/nothing"}, since_, root_ + "/nothing").complete) << "nothing there, nothing to count";
}

TEST_F(MeasureTest, ReportsIfADirectoryCannotBeRead) {
  std::string proc = root_ + "/proc";
  ASSERT_EQ(::mkdir(proc.c_str(), 0700), 0);
  auto noticed = without_listings(
      [&] { return !measure({root_}, since_, root_ + "/nothing").complete && !measure({}, since_, proc).complete; });
  if (!noticed) GTEST_SKIP() << "this system cannot simulate an error of the disk";
  EXPECT_TRUE(*noticed);
}

}  // namespace
}  // namespace bottle::measure
