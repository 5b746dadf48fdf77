#include "remote/link/far_link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "base/os/descriptors.h"
#include "ssh/stand_in_test.h"

namespace bottle::remote {
namespace {

// The near side must go on with everything else, whatever the connection does.
TEST(FarLink, SendingToAMachineThatDoesNotReadBlocksNothing) {
  ssh::StandIn ssh;
  ssh.does("exit 0", "exit 0");
  std::filesystem::create_directory(ssh.root() + "/control");
  auto side = FarSide::reach({.target = {.host = "machine"}, .control_directory = ssh.root() + "/control"}, false);
  ASSERT_TRUE(side) << side.error().what;
  int in[2], out[2];
  ASSERT_TRUE(::pipe2(in, O_CLOEXEC | O_NONBLOCK) == 0 && ::pipe2(out, O_CLOEXEC) == 0);
  UniqueFd reader(in[0]), writer(out[1]);
  Channel channel;
  channel.in.reset(in[1]);
  channel.out.reset(out[0]);
  channel.hello.emplace();
  FarLink link;
  link.use(std::move(*side), std::move(channel));
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
  EXPECT_EQ(link.fd_behind(), in[1]);
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

}  // namespace
}  // namespace bottle::remote
