#include "app/world/own_places.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/files/file.h"

namespace bottle::app {
namespace {

namespace fs = std::filesystem;

TEST(OwnPlaces, AManifestThatEveryoneCanWriteToIsRefused) {
  char place[] = "/tmp/bottle-own-places.XXXXXX";
  std::string home = ::mkdtemp(place) + std::string("/it's"), config = home + "/.config/bottle",
              manifest = config + "/bottle.yaml";
  auto directories = Directories::from({{"HOME", home}});
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
  const std::string todo = checked.error().todo;
  size_t command = todo.find("chmod o-w");
  ASSERT_NE(command, std::string::npos) << todo;
  EXPECT_EQ(std::system(todo.substr(command, todo.rfind('`') - command).c_str()), 0) << todo;
  EXPECT_TRUE(check_own_places(directories)) << "what the message says helps";
  fs::remove_all(place);
}

}  // namespace
}  // namespace bottle::app
