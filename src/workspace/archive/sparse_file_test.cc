#include "workspace/archive/sparse_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/files/file.h"

namespace bottle::workspace {
namespace {

class SparseFileTest : public ::testing::Test {
 protected:
  void TearDown() override { ::unlink(path_.c_str()); }
  struct stat status() const {
    struct stat st{};
    EXPECT_EQ(::stat(path_.c_str(), &st), 0);
    return st;
  }
  std::string path_ = ::testing::TempDir() + "/bottle-sparse-" + std::to_string(::getpid());
};

TEST_F(SparseFileTest, HasTheBytesThatWereWritten) {
  std::string all;
  for (int i = 0; i < 40; ++i) all += std::string(static_cast<size_t>(i) * 977, i % 3 ? '\0' : 'x') + "y";
  for (const std::string& text :
       {all, std::string(), std::string(3, '\0'), std::string(4096, '\0'), "x" + std::string(9000, '\0')})
    for (size_t piece : {1u, 1000u, 4096u, 100000u}) {
      auto file = ArchiveFile::create(path_);
      ASSERT_TRUE(file) << file.error().what;
      for (size_t at = 0; at < text.size(); at += piece)
        ASSERT_TRUE(file->write(std::string_view(text).substr(at, piece)));
      ASSERT_TRUE(file->end(ArchiveFile::Flush::no));
      EXPECT_EQ(read_file(path_, 1 << 20).value_or("none"), text) << piece;
    }
}

TEST_F(SparseFileTest, TakesNoRoomForZeros) {
  auto file = ArchiveFile::create(path_, 1 << 20);
  ASSERT_TRUE(file) << file.error().what;
  ASSERT_TRUE(file->write("head"));
  const std::string zeros(1 << 20, '\0');
  for (int i = 0; i < 1024; ++i) ASSERT_TRUE(file->write(zeros));
  ASSERT_TRUE(file->write("tail"));
  ASSERT_TRUE(file->end(ArchiveFile::Flush::no));
  EXPECT_EQ(status().st_size, (1ll << 30) + 8);
  EXPECT_LT(status().st_blocks * 512, 1 << 20);
}

TEST_F(SparseFileTest, HasLimits) {
  auto file = ArchiveFile::create(path_, 1000);
  ASSERT_TRUE(file) << file.error().what;
  ASSERT_TRUE(file->write(std::string(1000, 'x')));
  auto more = file->write("x");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::limit);
}

}  // namespace
}  // namespace bottle::workspace
