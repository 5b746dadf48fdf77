#include "session/console/clients.h"

#include <gtest/gtest.h>

#include "base/os/descriptors.h"

namespace bottle::session {
namespace {

using wire::Frame, wire::FrameType, wire::send_frame;

// Provides a session's clients and the launcher's end of the first of them.
class ClientsTest : public ::testing::Test {
 protected:
  ClientsTest() {
    auto ends = make_socket_pair();
    EXPECT_TRUE(ends);
    launcher = std::move(ends->ours);
    clients.emplace(std::move(ends->theirs));
  }

  // Polls once and passes the frames to `on_frame`.
  void turn(const std::function<void(const Frame&)>& on_frame, bool takes_input = true) {
    Poller poller;
    clients->add_to(poller, takes_input);
    poller.wait(0);
    clients->handle(poller, on_frame);
  }

  UniqueFd launcher;
  std::optional<Clients> clients;
};

// A launcher may send its last frames and exit. No client then receives the session's answers.
TEST_F(ClientsTest, FramesOfADisconnectedClientAreHandled) {
  for (const char* bytes : {"first", "second"}) ASSERT_TRUE(send_frame(launcher.get(), FrameType::input, bytes));
  launcher.reset();
  std::string heard;
  turn([&](const Frame& frame) {
    heard += frame.bytes + " ";
    clients->event(wire::Step{"stopping"});
    clients->send(FrameType::output, "output");
  });
  EXPECT_EQ(heard, "first ");
  EXPECT_TRUE(clients->launcher_is_gone());
}

// Others, such as `bottle stop`, must not wait for an agent that does not read its input.
TEST_F(ClientsTest, OnlyAClientThatHasSentInputWaitsForTheAgent) {
  std::string heard;
  auto hear = [&](const Frame& frame) { heard += frame.bytes; };
  ASSERT_TRUE(send_frame(launcher.get(), FrameType::stop, "stop "));
  turn(hear, false);
  EXPECT_EQ(heard, "stop ");
  ASSERT_TRUE(send_frame(launcher.get(), FrameType::input, "first "));
  turn(hear, false);
  ASSERT_TRUE(send_frame(launcher.get(), FrameType::input, "second "));
  turn(hear, false);
  EXPECT_EQ(heard, "stop first ");
  clients->event(wire::Step{"an event"});
  turn(hear, false);
  EXPECT_EQ(heard, "stop first ");
  turn(hear);
  EXPECT_EQ(heard, "stop first second ");
}

TEST_F(ClientsTest, ANearSideThatHasSentInputStillReachesTheSession) {
  std::string heard;
  auto hear = [&](const Frame& frame) { heard += frame.bytes; };
  wire::ToFarGuard here = wire::NearSideHere{};
  ASSERT_TRUE(send_frame(launcher.get(), FrameType::guard, wire::encode(here)));
  ASSERT_TRUE(send_frame(launcher.get(), FrameType::input, "input "));
  turn([](const Frame&) {});
  ASSERT_TRUE(send_frame(launcher.get(), FrameType::stop, "stop"));
  turn(hear, false);
  EXPECT_EQ(heard, "stop");
}

TEST_F(ClientsTest, ADisconnectedClientIsNotTheNearSide) {
  wire::ToFarGuard here = wire::NearSideHere{};
  ASSERT_TRUE(send_frame(launcher.get(), FrameType::guard, wire::encode(here)));
  turn([](const Frame&) {});
  EXPECT_EQ(clients->near_side(), 1u);
  launcher.reset();
  clients->to_near_side(wire::FarGuardHere{});
  EXPECT_EQ(clients->near_side(), 0u);
  EXPECT_TRUE(clients->launcher_is_gone());
}

}  // namespace
}  // namespace bottle::session
