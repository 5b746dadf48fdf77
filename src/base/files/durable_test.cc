#include "base/files/durable.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/files/flush_file_system.h"
#include "base/files/unreadable_test.h"
#include "base/unique_fd.h"

namespace bottle {
namespace {

namespace fs = std::filesystem;

class DurableFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/durable_test_XXXXXX";
    ASSERT_TRUE(::mkdtemp(path));
    root = path;
    std::ofstream(root + "/file") << "text";
  }
  void TearDown() override { fs::remove_all(root); }
  std::string root;
};

TEST_F(DurableFiles, AFileSystemMayBeUnableToFlushDirectories) {
  for (int error : {EINVAL, EOPNOTSUPP, EBADF, ENOSYS}) {
    auto flushed = with_failing(SYS_fsync, error, [&] { return flush(root).has_value(); });
    if (!flushed) GTEST_SKIP() << "this system cannot inject errors";
    EXPECT_TRUE(*flushed) << error;
  }
  EXPECT_FALSE(*with_failing(SYS_fsync, EIO, [&] { return flush(root).has_value(); }));
  EXPECT_FALSE(*with_failing(SYS_fsync, EOPNOTSUPP, [&] { return flush(root + "/file").has_value(); }));
}

TEST_F(DurableFiles, ManyFilesAreFlushedAtOnce) {
  UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  bool at_once = flush_file_system(fd.get()) == 0;
  auto each = with_failing(SYS_syncfs, EIO, [&] { return flush_tree(root).has_value(); });
  if (!each) GTEST_SKIP() << "this system cannot inject errors";
  EXPECT_TRUE(*each);
  EXPECT_FALSE(*with_failing(SYS_fsync, EIO, [&] { return flush_tree(root).has_value(); }));
  for (int i = 0; i < 300; ++i) std::ofstream(root + "/" + std::to_string(i)) << i;
  EXPECT_EQ(*with_failing(SYS_syncfs, EIO, [&] { return flush_tree(root).has_value(); }), !at_once);
  EXPECT_EQ(*with_failing(SYS_fsync, EIO, [&] { return flush_tree(root).has_value(); }), at_once);
}

TEST_F(DurableFiles, ADirectoryAppearsCompleteOrNotAtAll) {
  {
    auto given_up = UnfinishedDirectory::make(root, "x");
    ASSERT_TRUE(given_up);
    std::ofstream(given_up->path() + "/file") << "text";
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(root), {}), 1) << "only the file of the fixture is left";
  auto first = UnfinishedDirectory::make(root, "x"), second = UnfinishedDirectory::make(root, "x");
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(fs::exists(root + "/x"));
  std::ofstream(first->path() + "/file") << "text";
  ASSERT_TRUE(first->publish());
  EXPECT_TRUE(fs::exists(root + "/x/file"));
  EXPECT_EQ(second->publish().error().code, Code::conflict);
}

}  // namespace
}  // namespace bottle
