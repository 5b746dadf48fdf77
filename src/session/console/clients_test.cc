#include "session/console/clients.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

namespace bottle::session {
namespace {

// The session's clients and the launcher's end of the first of them.
class ClientsTest : public ::testing::Test {
 protected:
  ClientsTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    launcher.reset(ends[0]);
    clients.emplace(UniqueFd(ends[1]));
  }

  // Polls once and hands the frames to `on_frame`.
  void turn(const std::function<void(const Frame&)>& on_frame) {
    std::vector<pollfd> fds;
    clients->add_to(fds);
    ::poll(fds.data(), fds.size(), 0);
    clients->handle(fds, on_frame);
  }

  UniqueFd launcher;
  std::optional<Clients> clients;
};

// A launcher may send its last frames and exit. What the session then tells its clients reaches nobody.
TEST_F(ClientsTest, TheirFramesAreHandledAfterTheyAreGone) {
  for (const char* bytes : {"first", "second"}) ASSERT_TRUE(send_frame(launcher.get(), FrameType::input, bytes));
  launcher.reset();
  std::string heard;
  turn([&](const Frame& frame) {
    heard += frame.bytes + " ";
    clients->event(wire::Step{"stopping"});
    clients->send(FrameType::output, "output");
  });
  EXPECT_EQ(heard, "first ");
  EXPECT_TRUE(clients->first_is_gone());
}

TEST_F(ClientsTest, AClientThatIsGoneIsNoRelay) {
  wire::ToFarGuard here = wire::NearSideHere{};
  ASSERT_TRUE(send_frame(launcher.get(), FrameType::guard, wire::encode(here)));
  turn([](const Frame&) {});
  EXPECT_EQ(clients->relay(), 1u);
  launcher.reset();
  clients->to_relay(wire::FarGuardHere{});
  EXPECT_EQ(clients->relay(), 0u);
  EXPECT_TRUE(clients->first_is_gone());
}

}  // namespace
}  // namespace bottle::session
