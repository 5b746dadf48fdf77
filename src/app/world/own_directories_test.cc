#include "app/world/own_directories.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/files/file.h"
#include "base/os/this_program.h"

namespace bottle::app {
namespace {

namespace fs = std::filesystem;

TEST(OwnDirectories, AManifestThatEveryoneCanWriteToIsRefused) {
  char place[] = "/tmp/bottle-own-places.XXXXXX";
  std::string home = ::mkdtemp(place) + std::string("/it's"), config = home + "/.config/bottle",
              manifest = config + "/bottle.yaml";
  auto directories = Directories::from({{"HOME", home}});
  fs::create_directories(config);
  ASSERT_TRUE(write_file_atomically(home + "/real.yaml", "{}"));
  fs::create_symlink(home + "/real.yaml", manifest);
  EXPECT_TRUE(check_own_directories(directories));
  fs::permissions(home + "/real.yaml", fs::perms::others_write, fs::perm_options::add);
  auto checked = check_own_directories(directories);
  ASSERT_FALSE(checked) << "through a link, too";
  EXPECT_EQ(checked.error().code, Code::denied);
  EXPECT_NE(checked.error().what.find(home + "/real.yaml is writable by everyone"), std::string::npos)
      << checked.error().what;
  const std::string todo = checked.error().todo;
  size_t command = todo.find("chmod o-w");
  ASSERT_NE(command, std::string::npos) << todo;
  EXPECT_EQ(std::system(todo.substr(command, todo.rfind('`') - command).c_str()), 0) << todo;
  EXPECT_TRUE(check_own_directories(directories)) << "what the message says helps";
  fs::remove_all(place);
}

TEST(OwnDirectories, SkillsThatEveryoneCanWriteToAreRefused) {
  char place[] = "/tmp/bottle-own-places.XXXXXX";
  std::string home = ::mkdtemp(place), skills = home + "/.config/bottle/skills", skill = skills + "/sk";
  auto directories = Directories::from({{"HOME", home}});
  fs::create_directories(skill + "/more");
  ASSERT_TRUE(write_file_atomically(skill + "/more/notes.md", "x"));
  fs::create_directory_symlink(skill, home + "/linked");
  EXPECT_TRUE(check_own_tree(skill));
  EXPECT_TRUE(check_own_tree(home + "/linked"));
  EXPECT_TRUE(check_own_tree(skill + "/more/notes.md")) << "a single file";
  EXPECT_TRUE(check_own_directories(directories));
  for (const std::string& open : {skills, skill, skill + "/more", skill + "/more/notes.md"}) {
    fs::permissions(open, fs::perms::others_write, fs::perm_options::add);
    for (const std::string& way : {skill, home + "/linked"}) {
      auto checked = check_own_tree(way);
      EXPECT_FALSE(checked) << way << " " << open;
      if (!checked) EXPECT_NE(checked.error().what.find(open + " is writable by everyone"), std::string::npos);
    }
    EXPECT_EQ(check_own_directories(directories).has_value(), open != skills);
    fs::permissions(open, fs::perms::others_write, fs::perm_options::remove);
  }
  fs::remove_all(place);
}

TEST(OwnDirectories, WhatIsNeverSentWithASkillIsNotChecked) {
  char place[] = "/tmp/bottle-own-places.XXXXXX";
  std::string home = ::mkdtemp(place), skill = home + "/sk", shared = home + "/shared";
  fs::create_directories(skill);
  fs::create_directories(shared);
  fs::permissions(shared, fs::perms::others_write, fs::perm_options::add);
  fs::create_symlink("/dev/null", skill + "/off.conf");
  fs::create_directory_symlink(shared, skill + "/shared");
  ASSERT_EQ(::mkfifo((skill + "/watcher").c_str(), 0777), 0);
  fs::permissions(skill + "/watcher", fs::perms::others_write, fs::perm_options::add);
  auto checked = check_own_tree(skill);
  EXPECT_TRUE(checked) << checked.error().what;
  fs::remove_all(place);
}

TEST(OwnDirectories, EachLinkOnTheWayIsAPlaceToo) {
  char place[] = "/tmp/bottle-own-places.XXXXXX";
  std::string home = fs::canonical(::mkdtemp(place)).string(), config = home + "/.config/bottle";
  auto directories = Directories::from({{"HOME", home}, {"XDG_CACHE_HOME", home + "/ws/.cache"}});
  for (const char* each : {"/.config/bottle/providers", "/dotfiles", "/real/agents", "/hooks/p", "/docker.real"})
    fs::create_directories(home + each);
  fs::create_directory_symlink("../../real/agents", config + "/agents");
  ASSERT_TRUE(write_file_atomically(home + "/real/b.yaml", "{}"));
  ASSERT_TRUE(write_file_atomically(home + "/hooks/create", ""));
  fs::create_symlink(home + "/real/b.yaml", home + "/dotfiles/b.yaml");
  fs::create_symlink(home + "/dotfiles/b.yaml", config + "/bottle.yaml");
  fs::create_symlink("../../dotfiles/absent.md", home + "/real/agents/a.md");
  fs::create_directory_symlink(home + "/hooks/p", config + "/providers/p");
  fs::create_symlink("../create", home + "/hooks/p/create");
  fs::create_directory_symlink(home + "/loop", home + "/loop");
  fs::create_directory_symlink(home + "/docker.real", home + "/docker");
  auto places = trusted_places(
      directories,
      {{"XDG_RUNTIME_DIR", home + "/loop"}, {"DOCKER_CONFIG", home + "/docker"}, {"PATH", home + "/ws/bin::bin"}});
  ASSERT_TRUE(places) << places.error().what;
  auto is_place = [&](const std::string& path) { return std::ranges::find(*places, path) != places->end(); };
  for (const std::string& each : {config,
                                  config + "/agents",
                                  home + "/real/agents",
                                  home + "/real/agents/a.md",
                                  config + "/bottle.yaml",
                                  home + "/dotfiles/b.yaml",
                                  home + "/real/b.yaml",
                                  config + "/providers/p",
                                  home + "/hooks/p",
                                  home + "/hooks/p/create",
                                  home + "/hooks/create",
                                  home + "/ws/.cache/bottle",
                                  home + "/.local/state/bottle/vms",
                                  home + "/.local/state/bottle/results",
                                  home + "/docker",
                                  home + "/docker.real",
                                  home + "/loop",
                                  path_to_self(),
                                  "/tmp/bottle-" + std::to_string(::getuid()),
                                  "/run/user/" + std::to_string(::getuid()) + "/bottle"})
    EXPECT_TRUE(is_place(each)) << each;
  for (const std::string& each : {home, home + "/src", home + "/.config", home + "/dotfiles"})
    EXPECT_FALSE(is_place(each)) << each;
  fs::remove_all(place);
}

// The docker command runs programs that its configuration names, and a context can lead to an engine of the agent's.
TEST(OwnDirectories, DockersConfigurationIsAPlaceWithoutAVariable) {
  char place[] = "/tmp/bottle-own-places.XXXXXX";
  std::string home = fs::canonical(::mkdtemp(place)).string(), docker = home + "/.docker",
              context = docker + "/contexts/meta/0123";
  for (const char* each : {"/.docker/cli-plugins", "/.docker/contexts/meta", "/dotfiles/context"})
    fs::create_directories(home + each);
  for (auto [link, target] : {std::pair(docker + "/config.json", "/dotfiles/config.json"),
                              {docker + "/cli-plugins/docker-buildx", "/dotfiles/buildx"},
                              {context, "/dotfiles/context"}})
    fs::create_symlink(home + target, link);
  fs::create_symlink("../meta.json", home + "/dotfiles/context/meta.json");
  auto directories = Directories::from({{"HOME", home}});
  for (bool set : {false, true}) {
    std::map<std::string, std::string> variables;
    if (set) variables = {{"DOCKER_CONFIG", docker}};
    auto places = trusted_places(directories, variables);
    ASSERT_TRUE(places) << places.error().what;
    for (const std::string& each :
         {docker, docker + "/config.json", docker + "/contexts", docker + "/contexts/meta", docker + "/cli-plugins",
          context, home + "/dotfiles/config.json", home + "/dotfiles/buildx", home + "/dotfiles/context",
          home + "/dotfiles/meta.json"})
      EXPECT_TRUE(std::ranges::find(*places, each) != places->end()) << each << " " << set;
  }
  EXPECT_TRUE(check_own_directories(directories));
  fs::permissions(docker + "/cli-plugins", fs::perms::others_write, fs::perm_options::add);
  EXPECT_FALSE(check_own_directories(directories));
  fs::remove_all(place);
}

// A hook, ssh's ProxyCommand or docker's credential helper may be any program.
TEST(OwnDirectories, EachLinkInPathIsAPlace) {
  char place[] = "/tmp/bottle-own-places.XXXXXX";
  std::string home = fs::canonical(::mkdtemp(place)).string();
  for (const char* each : {"/bin", "/dotfiles/bin", "/other"}) fs::create_directories(home + each);
  fs::create_symlink("../dotfiles/ssh", home + "/bin/ssh");
  fs::create_symlink("../src/tool", home + "/bin/tool");
  fs::create_symlink("tool", home + "/bin/alias");
  fs::create_symlink("../elsewhere", home + "/other/tool");
  ASSERT_TRUE(write_file_atomically(home + "/dotfiles/bin/git", ""));
  auto places = trusted_places(Directories::from({{"HOME", home}}),
                               {{"PATH", "/usr/bin:" + home + "/dotfiles/bin:" + home + "/bin"}});
  ASSERT_TRUE(places) << places.error().what;
  auto is_place = [&](const std::string& path) { return std::ranges::find(*places, home + path) != places->end(); };
  EXPECT_TRUE(is_place("/dotfiles/ssh"));
  EXPECT_TRUE(is_place("/src/tool")) << "it may appear later";
  EXPECT_TRUE(is_place("/bin/alias"));
  EXPECT_FALSE(is_place("/elsewhere")) << "nothing runs it";
  // An agent in a directory of PATH can add no program to it.
  EXPECT_FALSE(is_place("/bin"));
  EXPECT_FALSE(is_place("/dotfiles/bin/git"));
  fs::remove_all(place);
}

// After `su` or with `sudo -E`, these variables still name the directories of the other user.
TEST(OwnDirectories, ADirectoryOfAnotherUserIsNeitherRuntimeNorTemporaryDirectory) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make directories of others";
  char place[] = "/tmp/bottle-own-places.XXXXXX";
  std::string root = ::mkdtemp(place), theirs = root + "/theirs", mine = root + "/mine", open = root + "/open",
              inner = theirs + "/mine", link = theirs + "/link";
  fs::create_directories(inner);
  for (const auto& each : {mine, open}) fs::create_directory(each);
  fs::permissions(open, fs::perms::all);
  fs::create_directory_symlink(mine, link);
  ASSERT_EQ(::chown(theirs.c_str(), 4242, 4242), 0);
  for (const char* name : {"XDG_RUNTIME_DIR", "TMPDIR"}) {
    const char* before = std::getenv(name);
    std::string kept = before ? before : "";
    auto survives = [&](const std::string& path) {
      ::setenv(name, path.c_str(), 1);
      forget_foreign_directories();
      return std::getenv(name) != nullptr;
    };
    EXPECT_TRUE(survives(mine)) << name;
    for (const auto& each : {theirs, inner, link, open, root + "/absent", std::string("relative"), std::string()})
      EXPECT_FALSE(survives(each)) << name << " " << each;
    if (std::string_view(name) == "TMPDIR") EXPECT_TRUE(survives("/tmp"));
    before ? ::setenv(name, kept.c_str(), 1) : ::unsetenv(name);
  }
  auto directories = Directories::from({{"HOME", mine}});
  EXPECT_TRUE(check_own_directories(directories, mine));
  EXPECT_FALSE(check_own_directories(directories, theirs));
  fs::create_directory_symlink(theirs, mine + "/.docker");
  EXPECT_FALSE(check_own_directories(directories));
  fs::remove_all(root);
}

}  // namespace
}  // namespace bottle::app
