#include "remote/link/far_link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "ssh/stand_in_test.h"

namespace bottle::remote {
namespace {

// Holds a link over two pipes. The test reads what the link sends.
class FarLinkTest : public ::testing::Test {
 protected:
  FarLinkTest() {
    ssh.does("exit 0", "exit 0");
    std::filesystem::create_directory(ssh.root() + "/control");
    auto side = FarSide::reach({.target = {.host = "machine"}, .control_directory = ssh.root() + "/control"}, false);
    int in[2], out[2];
    EXPECT_TRUE(::pipe2(in, O_CLOEXEC | O_NONBLOCK) == 0 && ::pipe2(out, O_CLOEXEC) == 0);
    reader.reset(in[0]);
    writer.reset(out[1]);
    Channel channel;
    channel.in.reset(in[1]);
    channel.out.reset(out[0]);
    channel.hello.emplace();
    EXPECT_TRUE(side);
    if (side) link.use(std::move(*side), std::move(channel));
  }
  ssh::StandIn ssh;
  UniqueFd reader, writer;
  FarLink link;
};

// The near side must go on with everything else, whatever the connection does.
TEST_F(FarLinkTest, SendingToAMachineThatDoesNotReadBlocksNothing) {
  EXPECT_EQ(link.fd_behind(), -1);
  std::string sent;
  auto began = std::chrono::steady_clock::now();
  for (char c = 'a'; c <= 'z'; ++c) {
    std::string part(100'000, c);
    link.send(FrameType::input, part);
    sent += session::encode(FrameType::input, part);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
  EXPECT_TRUE(link.is_behind());
  EXPECT_GE(link.fd_behind(), 0);
  std::string read, buffer(1 << 16, '\0');
  while (read.size() < sent.size()) {
    ssize_t n = ::read(reader.get(), buffer.data(), buffer.size());
    if (n > 0) read.append(buffer, 0, static_cast<size_t>(n));
    else ASSERT_TRUE(link.fd_behind() >= 0) << "nothing is left to send";
    EXPECT_TRUE(link.read_news(false).empty());
  }
  EXPECT_TRUE(read == sent);
  EXPECT_FALSE(link.is_behind());
  EXPECT_EQ(link.fd_behind(), -1);
  reader.reset();
  link.send(FrameType::ping, "");
  EXPECT_TRUE(link.is_up()) << "its last words may still come";
}

// The other side causes frames, such as answers of the guard's services, and may not read them.
TEST_F(FarLinkTest, AMachineThatDoesNotReadCannotFillTheMemory) {
  std::string part(100'000, 'x');
  for (int i = 0; i < 150; ++i) link.send(FrameType::guard, part);
  EXPECT_TRUE(link.is_behind());
  for (int i = 0; i < 50; ++i) link.send(FrameType::guard, part);
  EXPECT_FALSE(link.is_behind()) << "what was kept is dropped";
  EXPECT_EQ(link.fd_behind(), -1);
  EXPECT_TRUE(link.is_up()) << "its last words may still come";
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (link.is_up() && std::chrono::steady_clock::now() < until) {
    (void)wait_readable(link.fd(), 20);
    (void)link.read_news(false);
  }
  EXPECT_FALSE(link.is_up());
}

// Otherwise, a slow connection would lose the input that it is about to send.
TEST(IsDead, AConnectionThatTakesWhatWaitsHasMoreTime) {
  using namespace std::chrono_literals;
  std::chrono::steady_clock::time_point heard{};
  EXPECT_FALSE(is_dead(heard, heard, heard + 13s));
  EXPECT_TRUE(is_dead(heard, heard, heard + 14s));
  EXPECT_FALSE(is_dead(heard, heard + 16s, heard + 29s));
  EXPECT_TRUE(is_dead(heard, heard + 16s, heard + 30s));
  EXPECT_TRUE(is_dead(heard, heard + 44s, heard + 44s)) << "but not without end";
}

}  // namespace
}  // namespace bottle::remote
