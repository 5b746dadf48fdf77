#include "base/files/beneath.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "base/files/directories.h"
#include "base/files/file.h"
#include "base/files/unreadable_test.h"
#include "base/ids.h"

namespace bottle {
namespace {

// Linux gives up on "..", which a link may contain, while anything is renamed.
TEST(Beneath, FollowsLinksWhileOthersRename) {
  std::string root = ::testing::TempDir() + "/bottle-" + random_hex(4), other = root + "-other";
  ASSERT_TRUE(make_directories(root + "/inner") && write_file_atomically(root + "/target", "found"));
  ASSERT_TRUE(write_file_atomically(other, ""));
  ASSERT_EQ(::symlink("../target", (root + "/inner/link").c_str()), 0);
  Beneath directory = *Beneath::open(root, Beneath::Links::inside);
  auto read = [&] { return directory.read("inner/link", 100).value_or(std::nullopt).value_or(""); };
  if (read().empty()) GTEST_SKIP() << "this system cannot follow links below a directory";
  {
    std::jthread renaming([&](const std::stop_token& stop) {
      std::string renamed = other + "2";
      while (!stop.stop_requested()) {
        (void)::rename(other.c_str(), renamed.c_str());
        (void)::rename(renamed.c_str(), other.c_str());
      }
    });
    for (int i = 0; i < 20000; ++i) ASSERT_EQ(read(), "found") << i;
  }
  ::unlink(other.c_str());
  std::filesystem::remove_all(root);
}

TEST(Beneath, AnErrorOfTheDiskIsNotTheEndOfADirectory) {
  std::string root = ::testing::TempDir() + "/bottle-" + random_hex(4);
  ASSERT_TRUE(make_directories(root + "/inner"));
  Beneath directory = *Beneath::open(root);
  auto all = [&](const std::string& path) {
    return directory.each(path, 10, [](const std::string&, unsigned char) { return Result<>(); }).has_value();
  };
  EXPECT_TRUE(all("") && all("inner"));
  auto noticed = without_listings([&] { return !all("") && !all("inner"); });
  std::filesystem::remove_all(root);
  if (!noticed) GTEST_SKIP() << "this system cannot simulate an error of the disk";
  EXPECT_TRUE(*noticed);
}

}  // namespace
}  // namespace bottle
