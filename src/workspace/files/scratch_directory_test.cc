#include "workspace/files/scratch_directory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "base/ids.h"

namespace bottle::workspace {
namespace {

namespace fs = std::filesystem;

TEST(ScratchDirectory, IsRemovedWithItsContentByItsLastOwner) {
  std::string parent = ::testing::TempDir() + "/scratch-" + random_hex(4);
  std::optional<ScratchDirectory> owner;
  std::string path;
  {
    ScratchDirectory made = ScratchDirectory::make(parent, "apply").value();
    ScratchDirectory other = ScratchDirectory::make(parent, "apply").value();
    path = made.path();
    EXPECT_TRUE(path.starts_with(parent + "/apply-")) << path;
    EXPECT_NE(path, other.path());
    EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all);
    fs::create_directories(path + "/below");
    ASSERT_TRUE(write_new_file(path + "/below/file", "text"));
    owner.emplace(std::move(made));
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(parent), {}), 1) << "only what still has an owner is left";
  EXPECT_TRUE(fs::exists(owner->path() + "/below/file"));
  owner.reset();
  EXPECT_FALSE(fs::exists(path));
  fs::remove_all(parent);
}

TEST(ScratchDirectory, AnotherFileInItsPlaceIsAnError) {
  std::string file = ::testing::TempDir() + "/scratch-" + random_hex(4);
  ASSERT_TRUE(write_new_file(file, ""));
  EXPECT_FALSE(ScratchDirectory::make(file, "apply"));
  fs::remove(file);
}

}  // namespace
}  // namespace bottle::workspace
