#include "base/files/entries.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/files/file.h"
#include "base/files/unreadable_test.h"
#include "base/ids.h"

namespace bottle {
namespace {

TEST(Entries, AnErrorIsNotTheEndOfADirectory) {
  std::string root = ::testing::TempDir() + "/bottle-" + random_hex(4);
  ASSERT_TRUE(make_directories(root + "/b") && write_file_atomically(root + "/.a", ""));
  EXPECT_EQ(names_in(root).value(), (std::vector<std::string>{".a", "b"}));
  EXPECT_EQ(names_in(root + "/none").value(), std::vector<std::string>());
  auto file = names_in(root + "/.a");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().what, "reading " + root + "/.a: Not a directory");
  auto noticed = without_listings([&] { return !names_in(root); });
  std::filesystem::remove_all(root);
  if (!noticed) GTEST_SKIP() << "this system cannot simulate an error of the disk";
  EXPECT_TRUE(*noticed);
}

}  // namespace
}  // namespace bottle
