#include "workspace/archive/sparse_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/files/file.h"
#include "base/files/full_disk.h"

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
  for (int i = 0; i < 20; ++i) all += std::string(static_cast<size_t>(i) * 977, i % 3 ? '\0' : 'x') + "y";
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

TEST_F(SparseFileTest, HolesHaveALimit) {
  auto file = ArchiveFile::create(path_, UINT64_MAX, 10'000);
  ASSERT_TRUE(file) << file.error().what;
  ASSERT_TRUE(file->write(std::string(10'000, '\0')));
  auto more = file->write(std::string(1, '\0'));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::limit);
}

// Writes an archive to a disk of 4 MB of which 4 % are free, in a process of its own. Returns its status.
int write_to_almost_full_disk(const std::string& directory, size_t size) {
  constexpr int kNoMount = 77, kRefused = 1, kOther = 2;
  uid_t user = ::geteuid();
  if (::unshare(CLONE_NEWNS | (user == 0 ? 0 : CLONE_NEWUSER)) != 0) return kNoMount;
  // Files can only be made by a user that has a name in the new namespace.
  UniqueFd map(user == 0 ? -1 : ::open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC));
  if (map && !write_all(map.get(), "0 " + std::to_string(user) + " 1")) return kNoMount;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("none", directory.c_str(), "tmpfs", 0, "size=4m") != 0)
    return kNoMount;
  UniqueFd rest(::open((directory + "/rest").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!rest || ::posix_fallocate(rest.get(), 0, (4 << 20) / 100 * 96) != 0) return kOther;
  auto file = ArchiveFile::create(directory + "/archive");
  if (!file) return kOther;
  for (size_t written = 0; written < size; written += 4096)
    if (auto more = file->write(std::string(4096, 'x')); !more)
      return more.error().code == Code::no_space && free_bytes(directory).value_or(0) > 32 << 10 ? kRefused : kOther;
  return 0;
}

TEST_F(SparseFileTest, ASmallArchiveFitsOnAnAlmostFullDisk) {
  std::string directory = path_ + ".d";
  ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
  auto status_for = [&](size_t size) {
    pid_t child = ::fork();
    if (child == 0) ::_exit(write_to_almost_full_disk(directory, size));
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
  };
  int small = status_for(10'000), large = status_for(1 << 20);
  ::rmdir(directory.c_str());
  if (small == 77) GTEST_SKIP() << "this system does not let the test mount a disk";
  EXPECT_EQ(small, 0);
  EXPECT_EQ(large, 1) << "it must not fill the disk";
}

}  // namespace
}  // namespace bottle::workspace
