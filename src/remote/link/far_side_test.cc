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
  for (mode_t mode : {0646, 0664}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    EXPECT_EQ(program_for_far_side(other, directory).error().code, Code::denied) << mode;
  }
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

// A near side of an earlier version does not say that it uses its program, so a later one removes it after 90 days. A
// status of 0 would say, for example, that the session was stopped.
TEST(FarSide, SendsARemovedProgramAgain) {
  ssh::StandIn ssh;
  std::string cache = ssh.root() + "/cache";
  ASSERT_TRUE(make_directories(cache));
  // The machine has the other architecture, whose program is small here.
  std::string other = session::own_architecture() == "x86_64" ? "aarch64" : "x86_64";
  ASSERT_TRUE(write_file_atomically(ssh.root() + "/bin/uname",
                                    "#!/bin/sh\n[ $1 = -s ] && echo Linux || echo " + other + "\n", 0755));
  ASSERT_TRUE(write_file_atomically(ssh.root() + "/bottle-linux-" + other, "for the other processor"));
  const std::string name = "p" + content_hash("for the other processor");
  // Runs the command, which is the last word, as sshd does. The program that is sent is replaced by one that can run.
  ssh.does("exit 0", "for line; do :; done; export XDG_CACHE_HOME=" + cache +
                         "; case $line in *'gzip -dc'*) gzip -dc >" + ssh.root() + "/program; mkdir -p " + cache +
                         "/bottle; printf '#!/bin/sh\\necho \"$*\"\\n' >" + cache + "/bottle/" + name + "; chmod 700 " +
                         cache + "/bottle/" + name + "; echo sent >>" + ssh.root() +
                         "/sent; echo ok; exit 0;; esac; exec sh -c \"$line\"");
  auto side = FarSide::reach({.target = {.host = "machine"}, .program = "p"}, {.programs = ssh.root()});
  ASSERT_TRUE(side) << side.error().what;
  auto direct = capture({.argv = {"sh", "-c", "XDG_CACHE_HOME=" + cache + "; " + side->line_for({"stop"})}},
                        {.timeout_ms = 10000});
  ASSERT_TRUE(direct);
  EXPECT_EQ(direct->status, FarSide::kAbsentStatus);

  auto answer = side->ask({"stop", "nightly", "0b"});
  ASSERT_TRUE(answer) << answer.error().what;
  EXPECT_EQ(answer->out, "far stop nightly 0b\n");
  EXPECT_EQ(read_file(ssh.root() + "/sent").value_or(""), "sent\n");
  EXPECT_EQ(read_file(ssh.root() + "/program").value_or(""), "for the other processor");

  std::filesystem::remove_all(cache + "/bottle");
  auto fetched = side->fetch({"fetch"}, [](const std::string&, const Source&) -> Result<> { return {}; });
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, Code::unavailable) << fetched.error().what;
  EXPECT_EQ(read_file(ssh.root() + "/sent").value_or(""), "sent\nsent\n") << "so that the next attempt succeeds";
}

// The operator puts the file of the right release beside bottle once the wrong one has failed.
TEST(FarSide, SendsAnotherProgramForTheOtherProcessorAnew) {
  ssh::StandIn ssh;
  std::string cache = ssh.root() + "/cache";
  std::string other = session::own_architecture() == "x86_64" ? "aarch64" : "x86_64";
  ASSERT_TRUE(write_file_atomically(ssh.root() + "/bin/uname",
                                    "#!/bin/sh\n[ $1 = -s ] && echo Linux || echo " + other + "\n", 0755));
  ssh.does("exit 0", "for line; do :; done; export XDG_CACHE_HOME=" + cache + "; exec sh -c \"$line\"");
  // Returns what the machine's program says if this one is beside a bottle that begins now.
  auto said_with = [&](const std::string& program, const std::string& directory) {
    EXPECT_TRUE(make_directories(directory));
    EXPECT_TRUE(write_file_atomically(directory + "/bottle-linux-" + other, "#!/bin/sh\necho " + program + "\n"));
    auto side = FarSide::reach({.target = {.host = "machine"}, .program = "0b"}, {.programs = directory});
    EXPECT_TRUE(side);
    auto answer = side ? side->ask({"hello"}) : Result<Captured>(fail(Code::internal, "not reached"));
    return answer ? answer->out : answer.error().what;
  };
  // A process remembers the hash of a file, so another directory stands for another process.
  EXPECT_EQ(said_with("old", ssh.root() + "/1"), "old\n");
  EXPECT_EQ(said_with("new", ssh.root() + "/2"), "new\n");
  EXPECT_EQ(said_with("newer", ssh.root() + "/2"), "new\n") << "a process goes on with the program that it has used";
  std::filesystem::remove_all(cache);
  EXPECT_EQ(said_with("newest", ssh.root() + "/2"), "newest\n");
  EXPECT_EQ(said_with("old", ssh.root() + "/3"), "old\n");
}

// Makes a file that was used last so many days ago. Returns its path.
std::string file_of_age(const std::string& path, int days) {
  EXPECT_TRUE(write_file_atomically(path, "#!/bin/sh\necho \"$0\"\n"));
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - std::chrono::days(days));
  return path;
}

TEST(FarProgram, RemovesOnlyProgramsThatNobodyHasUsedForLong) {
  std::string d = ::testing::TempDir() + "/bottle-" + random_hex(4), id = random_hex(19);
  ASSERT_TRUE(make_directories(d + "/sent"));
  Defer clean([&] { std::filesystem::remove_all(d); });
  std::vector<std::string> go = {file_of_age(d + "/" + id + "00", 92), file_of_age(d + "/.new.77", 92)};
  std::vector<std::string> stay = {file_of_age(d + "/" + id + "01", 80), file_of_age(d + "/.new.78", 1),
                                   file_of_age(d + "/machines", 92), file_of_age(d + "/cafe", 92),
                                   file_of_age(d + "/sent/" + id + "02", 92)};
  std::filesystem::create_symlink(stay[0], d + "/" + id + "03");
  auto done = capture({.argv = {"sh", "-c", "set -e; d='" + d + "'; " + removal_of_old_programs() + "; echo ok"}},
                      {.timeout_ms = 10000});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->out, "ok\n") << done->err;
  for (const auto& path : go) EXPECT_FALSE(std::filesystem::exists(path)) << path;
  for (const auto& path : stay) EXPECT_TRUE(std::filesystem::exists(path)) << path;
  EXPECT_TRUE(std::filesystem::exists(d + "/" + id + "03"));
}

// Otherwise, another operator of the account who sends a new version would remove it.
TEST(FarProgram, IsYoungAgainAfterItsUse) {
  ssh::StandIn ssh;
  std::string program = ssh.root() + "/bottle/p";
  ASSERT_TRUE(make_directories(ssh.root() + "/bottle"));
  file_of_age(program, 92);
  ssh.does("exit 0", "exit 1");
  auto side = FarSide::reach({.target = {.host = "machine"}, .program = "p"});
  ASSERT_TRUE(side) << side.error().what;
  auto answer = capture({.argv = {"sh", "-c", "XDG_CACHE_HOME=" + ssh.root() + "; " + side->line_for({"hello"})}},
                        {.timeout_ms = 10000});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->out, program + "\n") << answer->err;
  auto age = std::filesystem::file_time_type::clock::now() - std::filesystem::last_write_time(program);
  EXPECT_LT(age, std::chrono::days(1));
}

}  // namespace
}  // namespace bottle::remote
