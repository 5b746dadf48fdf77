#include "remote/link/far_link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "ssh/stand_in_test.h"

namespace bottle::remote {
namespace {

// ARCHITECTURE.md has the same table. What it does not list changes nothing.
TEST(LinkState, EachEventLeadsToTheStateOfTheTable) {
  using enum LinkState;
  using Event = LinkEvent;
  constexpr size_t kCount = static_cast<size_t>(lost) + 1;
  constexpr LinkState kStates[kCount] = {down, connecting, greeting, deaf_greeting, up, deaf, lost};
  struct Row {
    Event event;
    LinkState next[kCount];  // in the order of kStates
  };
  constexpr Row kTable[] = {
      {Event::attempt_began, {connecting, connecting, greeting, deaf_greeting, up, deaf, lost}},
      {Event::attempt_failed, {down, down, greeting, deaf_greeting, up, deaf, lost}},
      {Event::connected, {greeting, greeting, greeting, greeting, greeting, greeting, greeting}},
      {Event::hello_came, {down, connecting, up, deaf, up, deaf, lost}},
      {Event::stopped_reading, {down, connecting, deaf_greeting, deaf_greeting, deaf, deaf, lost}},
      {Event::broke, {down, connecting, lost, lost, lost, lost, lost}},
      {Event::loss_told, {down, connecting, greeting, deaf_greeting, up, deaf, down}},
      {Event::closed, {down, connecting, down, down, down, down, down}},
  };
  static_assert(std::size(kTable) == static_cast<size_t>(Event::closed) + 1);
  for (const Row& row : kTable)
    for (size_t i = 0; i < kCount; ++i)
      EXPECT_EQ(after(kStates[i], row.event), row.next[i])
          << "event " << static_cast<int>(row.event) << " in state " << static_cast<int>(kStates[i]);
}

// Holds a link over two pipes. The test reads what the link sends.
class FarLinkTest : public ::testing::Test {
 protected:
  explicit FarLinkTest(bool greeted = true) {
    ssh.does("exit 0", "exit 0");
    std::filesystem::create_directory(ssh.root() + "/control");
    auto side = FarSide::reach({.target = {.host = "machine"}});
    int in[2], out[2];
    EXPECT_TRUE(::pipe2(in, O_CLOEXEC | O_NONBLOCK) == 0 && ::pipe2(out, O_CLOEXEC) == 0);
    reader.reset(in[0]);
    writer.reset(out[1]);
    Channel channel;
    channel.in.reset(in[1]);
    channel.out.reset(out[0]);
    if (greeted) channel.hello.emplace();
    EXPECT_TRUE(side);
    if (side) link.use(std::move(*side), std::move(channel));
  }
  void write(std::string_view bytes) {
    EXPECT_EQ(::write(writer.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  ssh::StandIn ssh;
  UniqueFd reader, writer;
  FarLink link{std::chrono::milliseconds(50)};
};

// The near side must go on with everything else, whatever the connection does.
TEST_F(FarLinkTest, SendingToAMachineThatDoesNotReadBlocksNothing) {
  EXPECT_EQ(link.fd_behind(), -1);
  std::string sent;
  auto began = std::chrono::steady_clock::now();
  for (char c = 'a'; c <= 'z'; ++c) {
    std::string part(100'000, c);
    link.send(FrameType::input, part);
    sent += wire::encode(FrameType::input, part);
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

// A VM that was stopped and started again may have another address.
TEST_F(FarLinkTest, AMachineIsReachedWhereItIsFound) {
  ssh.does("echo \"$*\" >>" + ssh.root() + "/tried; case \"$*\" in *' moved') exit 0;; esac; exit 255",
           "echo '{\"bottle\":\"absent\",\"machine\":\"none\",\"system\":\"none\"}'");
  link.close();
  auto attempt = [&](std::function<std::optional<MachineAddress>()> find) {
    link.reconnect({.target = {.host = "machine"}}, std::move(find));
    while (link.is_coming())
      if (auto news = link.read_news(false); !news.empty())
        EXPECT_TRUE(std::holds_alternative<FarLink::Failed>(news[0]));
    return read_file(ssh.root() + "/tried").value_or("");
  };
  EXPECT_FALSE(attempt([] { return std::nullopt; }).contains(" moved\n"));
  EXPECT_TRUE(attempt([] { return MachineAddress{.target = {.host = "moved"}}; }).contains(" moved\n"));
}

// The last frames may say why the connection broke.
TEST_F(FarLinkTest, ALossIsToldOnceAndAfterTheLastFrame) {
  write(wire::encode(FrameType::result, "last"));
  writer.reset();
  std::vector<FarLink::News> all;
  while (link.is_up())
    for (auto& each : link.read_news(true)) all.push_back(std::move(each));
  ASSERT_EQ(all.size(), 2u);
  ASSERT_TRUE(std::holds_alternative<FarLink::FrameCame>(all[0]));
  EXPECT_EQ(std::get<FarLink::FrameCame>(all[0]).frame.bytes, "last");
  ASSERT_TRUE(std::holds_alternative<FarLink::Lost>(all[1]));
  EXPECT_EQ(std::get<FarLink::Lost>(all[1]).why.what, "the connection broke");
  EXPECT_TRUE(link.read_news(false).empty());
}

TEST_F(FarLinkTest, AConnectionThatIsClosedMakesNoNews) {
  link.send(FrameType::input, "x");
  writer.reset();
  link.close();
  EXPECT_FALSE(link.is_up());
  EXPECT_EQ(link.fd(), -1);
  EXPECT_TRUE(link.read_news(true).empty());
}

// Holds a link whose hello is still to come.
class NewFarLinkTest : public FarLinkTest {
 protected:
  NewFarLinkTest() : FarLinkTest(false) {}
};

TEST_F(NewFarLinkTest, TheHelloIsTheFirstNewsAndComesOnce) {
  write("no hello");
  EXPECT_TRUE(link.read_news(true).empty());
  write("\n" + wire::encode(FrameType::output, "first"));
  auto news = link.read_news(true);
  ASSERT_EQ(news.size(), 2u);
  ASSERT_TRUE(std::holds_alternative<FarLink::HelloRead>(news[0]));
  EXPECT_FALSE(std::get<FarLink::HelloRead>(news[0]).hello);
  ASSERT_TRUE(std::holds_alternative<FarLink::FrameCame>(news[1]));
  EXPECT_EQ(std::get<FarLink::FrameCame>(news[1]).frame.bytes, "first");
  EXPECT_TRUE(link.is_up());
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
