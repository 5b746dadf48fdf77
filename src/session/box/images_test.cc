#include "session/box/images.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files/file.h"
#include "base/ids.h"
#include "session/box/programs.h"

namespace bottle::session {
namespace {

TEST(Images, BringNoLabelsThatBottleSetsOnSessions) {
  auto with = [](const nlohmann::json& labels) {
    return refuse_forged_labels({{"Id", "sha256:1"}, {"Config", {{"Labels", labels}}}}, "some:image").has_value();
  };
  EXPECT_TRUE(with(nullptr));
  EXPECT_TRUE(with({{"maintainer", "x"}, {"bottle.image", "agent"}, {"bottle.agent", "claude"}, {"bottles", "x"}}));
  for (const char* key : {"bottle.session", "bottle.owner", "bottle.ledger", "bottle.role", "bottle.x"})
    EXPECT_FALSE(with({{key, ""}})) << key;
  EXPECT_TRUE(refuse_forged_labels(nlohmann::json(), "some:image"));
}

TEST(Images, AreOldWhenTheirAgentsAre) {
  constexpr int64_t kNow = 1'800'000'000, kDay = 86400;
  auto is_old = [&](int64_t days, bool current, const std::string& package) {
    OwnImage image;
    image.created = kNow - days * kDay;
    image.current = current;
    image.package = package;
    return with_old_agents({image}, kNow).size() == 1;
  };
  EXPECT_TRUE(is_old(31, true, "@openai/codex"));
  EXPECT_FALSE(is_old(30, true, "@openai/codex"));
  EXPECT_FALSE(is_old(-1, true, "@openai/codex")) << "made on a machine whose clock is ahead";
  EXPECT_FALSE(is_old(400, false, "@openai/codex")) << "no start would use it";
  EXPECT_FALSE(is_old(400, true, "")) << "it holds no agent of npm's, or an older bottle made it";
}

TEST(Programs, AreThoseOfTheEnginesProcessor) {
  std::string other = own_architecture() == "x86_64" ? "aarch64" : "x86_64";
  std::string directory = ::testing::TempDir() + "/bottle-" + random_hex(4);
  ASSERT_TRUE(make_directories(directory));
  EXPECT_TRUE(program_for(Program::guard, own_architecture(), directory)
                  ->starts_with("\x7f"
                                "ELF"));
  EXPECT_NE(*program_for(Program::guard, own_architecture(), directory),
            *program_for(Program::inside, own_architecture(), directory));

  auto missing = program_for(Program::guard, other, directory);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_NE(missing.error().what.find(directory + "/bottle-guard-" + other), std::string::npos) << missing.error().what;
  EXPECT_NE(missing.error().todo.find("bottle-inside-" + other), std::string::npos) << missing.error().todo;

  ASSERT_TRUE(write_file_atomically(directory + "/bottle-guard-" + other, "for the other processor"));
  EXPECT_EQ(*program_for(Program::guard, other == "aarch64" ? "arm64" : "amd64", directory), "for the other processor");
  EXPECT_EQ(program_for(Program::inside, other, directory).error().code, Code::not_found);
}

// In a directory such as /tmp, another user can put a file beside bottle's.
TEST(Programs, AreNotThoseOfAnotherUser) {
  std::string other = own_architecture() == "x86_64" ? "aarch64" : "x86_64";
  std::string directory = ::testing::TempDir() + "/bottle-" + random_hex(4);
  ASSERT_TRUE(make_directories(directory));
  std::string path = directory + "/bottle-guard-" + other;
  ASSERT_TRUE(write_file_atomically(path, "anybody's"));
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  EXPECT_EQ(program_for(Program::guard, other, directory).error().code, Code::denied);
  ASSERT_EQ(::chmod(path.c_str(), 0664), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path.c_str(), 12345, 12345), 0);
    EXPECT_EQ(program_for(Program::guard, other, directory).error().code, Code::denied);
    ASSERT_EQ(::chown(path.c_str(), 0, 0), 0);
  }
  EXPECT_TRUE(program_for(Program::guard, other, directory));
}

TEST(Programs, HaveOneNameForAnArchitecture) {
  for (const char* name : {"aarch64", "arm64"}) EXPECT_EQ(architecture_named(name), "aarch64");
  for (const char* name : {"x86_64", "amd64"}) EXPECT_EQ(architecture_named(name), "x86_64");
  for (const char* name : {"", "riscv64", "../x86_64", "x86_64/.."}) {
    EXPECT_EQ(architecture_named(name), "");
    EXPECT_EQ(program_for(Program::guard, name, "/").error().code, Code::invalid) << name;
  }
}

}  // namespace
}  // namespace bottle::session
