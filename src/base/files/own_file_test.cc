#include "base/files/own_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "base/files/file.h"
#include "base/ids.h"

namespace bottle {
namespace {

struct OwnFile : testing::Test {
  std::string root = std::filesystem::temp_directory_path() / ("own_file_test-" + random_hex(6)), dir = root + "/dir";
  OwnFile() {
    (void)make_directories(dir);
    (void)write_file_atomically(dir + "/record", "text");
  }
  ~OwnFile() override { std::filesystem::remove_all(root); }

  Code code_of(const std::string& directory) {
    auto fd = open_own_directory(directory);
    if (!fd) return fd.error().code;
    auto text = read_own_file(*fd, directory, "record", 100);
    EXPECT_TRUE(!text || *text == "text");
    return text ? Code::internal : text.error().code;
  }
};

TEST_F(OwnFile, IsRead) { EXPECT_EQ(code_of(dir), Code::internal); }

TEST_F(OwnFile, AMissingFileHasItsOwnError) {
  EXPECT_EQ(code_of(root + "/none"), Code::not_found);
  ::unlink((dir + "/record").c_str());
  EXPECT_EQ(code_of(dir), Code::not_found);
}

TEST_F(OwnFile, IsRefusedIfOthersMayWriteToIt) {
  ::chmod((dir + "/record").c_str(), 0620);
  EXPECT_EQ(code_of(dir), Code::denied);
  ::chmod((dir + "/record").c_str(), 0602);
  EXPECT_EQ(code_of(dir), Code::denied);
  ::chmod((dir + "/record").c_str(), 0644);
  EXPECT_EQ(code_of(dir), Code::internal);
  ::chmod(dir.c_str(), 0777);
  EXPECT_EQ(code_of(dir), Code::denied);
  EXPECT_EQ(check_own_directory(dir).error().code, Code::denied);
}

TEST_F(OwnFile, IsReadWhileAnotherProcessReplacesIt) {
  std::jthread writer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) (void)write_file_atomically(dir + "/record", "text");
  });
  for (int i = 0; i < 3000; ++i) ASSERT_EQ(code_of(dir), Code::internal);
}

TEST_F(OwnFile, LinksAreRefused) {
  ::symlink(dir.c_str(), (root + "/link").c_str());
  EXPECT_EQ(code_of(root + "/link"), Code::denied);
  EXPECT_TRUE(check_own_directory(root + "/link")) << "but an operator's state may be elsewhere";
  std::filesystem::rename(dir + "/record", root + "/record");
  ::symlink((root + "/record").c_str(), (dir + "/record").c_str());
  EXPECT_EQ(code_of(dir), Code::denied);
  ::unlink((dir + "/record").c_str());
  std::filesystem::create_hard_link(root + "/record", dir + "/record");
  EXPECT_EQ(code_of(dir), Code::denied);
}

TEST_F(OwnFile, OtherFileTypesAreRefusedWithoutBlocking) {
  ::unlink((dir + "/record").c_str());
  ::mkfifo((dir + "/record").c_str(), 0600);
  EXPECT_EQ(code_of(dir), Code::denied);
  EXPECT_EQ(code_of(dir + "/record"), Code::invalid);
}

TEST_F(OwnFile, IsRefusedIfAnotherUserOwnsIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give a file away";
  ASSERT_EQ(::chown((dir + "/record").c_str(), 1000, 1000), 0);
  EXPECT_EQ(code_of(dir), Code::denied);
  ASSERT_EQ(::chown(dir.c_str(), 1000, 1000), 0);
  EXPECT_EQ(code_of(dir), Code::denied);
}

TEST_F(OwnFile, IsRefusedIfItIsTooLarge) {
  ASSERT_TRUE(write_file_atomically(dir + "/record", std::string(101, 'x')));
  EXPECT_EQ(code_of(dir), Code::limit);
}

}  // namespace
}  // namespace bottle
