#include "app/world/own_places.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/files/file.h"

namespace bottle::app {
namespace {

namespace fs = std::filesystem;

TEST(OwnPlaces, AManifestThatEverybodyCanWriteToIsRefused) {
  char place[] = "/tmp/bottle-own-places.XXXXXX";
  std::string home = ::mkdtemp(place), config = home + "/.config/bottle", manifest = config + "/bottle.yaml";
  auto directories = session::Directories::from({{"HOME", home}});
  fs::create_directories(config);
  ASSERT_TRUE(write_file_atomically(home + "/real.yaml", "{}"));
  fs::create_symlink(home + "/real.yaml", manifest);
  EXPECT_TRUE(check_own_places(directories));
  fs::permissions(home + "/real.yaml", fs::perms::others_write, fs::perm_options::add);
  auto checked = check_own_places(directories);
  ASSERT_FALSE(checked) << "through a link, too";
  EXPECT_EQ(checked.error().code, Code::denied);
  EXPECT_NE(checked.error().what.find(home + "/real.yaml is writable by everyone"), std::string::npos)
      << checked.error().what;
  EXPECT_NE(checked.error().todo.find("chmod o-w"), std::string::npos);
  fs::remove_all(home);
}

}  // namespace
}  // namespace bottle::app
