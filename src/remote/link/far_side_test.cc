#include "remote/link/far_side.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <future>

#include "base/defer.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/descriptors.h"
#include "base/os/this_program.h"
#include "session/images/programs.h"
#include "ssh/stand_in_test.h"

namespace bottle::remote {
namespace {

TEST(FarProgram, MatchesTheFarMachine) {
  std::string own(session::own_architecture()), other = own == "x86_64" ? "aarch64" : "x86_64";
  std::string directory = ::testing::TempDir() + "/bottle-" + random_hex(4);
  ASSERT_TRUE(make_directories(directory));
  Defer clean([&] { std::filesystem::remove_all(directory); });

  auto same = program_for_far_side(own, directory);
  if (can_be_far_side()) EXPECT_EQ(same.value(), own_program().value());
  else EXPECT_EQ(same.error().code, Code::not_found) << "a near side that is not Linux ships another program";

  auto missing = program_for_far_side(other, directory);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_NE(missing.error().what.find(directory + "/bottle-linux-" + other), std::string::npos) << missing.error().what;

  ASSERT_TRUE(write_file_atomically(directory + "/bottle-linux-" + other, "for the other processor"));
  EXPECT_EQ(program_for_far_side(other, directory).value(), "for the other processor");
  EXPECT_EQ(program_for_far_side(other == "aarch64" ? "arm64" : "amd64", directory).value(), "for the other processor");
}

// In a directory such as /tmp, another user can put a file beside bottle's.
TEST(FarProgram, OfAnotherUserIsRefused) {
  std::string other = session::own_architecture() == "x86_64" ? "aarch64" : "x86_64";
  std::string directory = ::testing::TempDir() + "/bottle-" + random_hex(4),
              path = directory + "/bottle-linux-" + other;
  ASSERT_TRUE(make_directories(directory));
  Defer clean([&] { std::filesystem::remove_all(directory); });
  ASSERT_TRUE(write_file_atomically(path, "anybody's"));
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  EXPECT_EQ(program_for_far_side(other, directory).error().code, Code::denied);
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_TRUE(program_for_far_side(other, directory));
}

TEST(FarProgram, IsNotFoundByAPathOfTheFarMachine) {
  for (const char* machine : {"", "../../etc/passwd", "riscv64"})
    EXPECT_EQ(program_for_far_side(machine, "/").error().code, Code::invalid) << machine;
}

TEST(FarSide, UsesTheExistingConnectionIfNoOtherCanBeMade) {
  ssh::StandIn ssh;
  std::string starts = ssh.root() + "/starts";
  ssh.does("[ ! -e " + starts + " ] || exit 255; echo \"$2\" >" + starts, "exit 0");
  auto side = FarSide::reach({.target = {.host = "machine"}, .program = "p"});
  ASSERT_TRUE(side) << side.error().what;
  EXPECT_FALSE(side->bulk()) << "there is no connection any more";
  std::string path = read_file(starts).value_or("");
  auto master = listen_at(path.substr(0, path.size() - 1), 8);
  ASSERT_TRUE(master);
  auto greets = std::async(std::launch::async, [&] {
    UniqueFd client = accept_connection(master->get());
    return write_all(client.get(), std::string("\0\0\0\4\0\0\0\1", 8)).has_value();
  });
  EXPECT_TRUE(side->bulk());
  ::shutdown(master->get(), SHUT_RDWR);
  EXPECT_TRUE(greets.get());
}

// On a dead network, making a connection takes long, and this one would only be closed.
TEST(FarSide, DropMakesNoConnection) {
  ssh::StandIn ssh;
  std::string starts = ssh.root() + "/starts";
  ssh.does("echo \"$2\" >>" + starts, "exit 0");
  auto side = FarSide::reach({.target = {.host = "machine"}, .program = "p"});
  ASSERT_TRUE(side) << side.error().what;
  std::string main = read_file(starts).value_or("");
  EXPECT_FALSE(main.empty());
  side->drop();
  EXPECT_EQ(read_file(starts).value_or(""), main);
}

}  // namespace
}  // namespace bottle::remote
