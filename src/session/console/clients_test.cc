#include "session/console/clients.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/os/descriptors.h"
#include "session/console/client.h"
#include "wire/codec/failure.h"

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

// A far machine can send any number of events, and the launcher may be stopped or show them slowly.
TEST_F(ClientsTest, AClientThatReadsNoEventsIsDisconnected) {
  constexpr size_t kMost = 1 << 20;
  auto ends = make_socket_pair();
  ASSERT_TRUE(ends);
  clients.emplace(std::move(ends->theirs), kMost);
  const std::string text(16 << 10, 'x');
  for (int i = 0; i < 30; ++i) clients->event(wire::Warning{text});
  EXPECT_FALSE(clients->launcher_is_gone());
  for (int i = 0; i < 1000; ++i) clients->event(wire::Warning{text});
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

// A near side takes the answer to its attach as proof that the agent runs.
TEST_F(ClientsTest, AnAttachDuringTheLaunchIsAnsweredWhenTheAgentRuns) {
  clients->hold_attaches();
  ASSERT_TRUE(send_frame(launcher.get(), FrameType::attach, wire::encode(wire::Attach{})));
  turn([](const Frame&) {});
  clients->event(wire::Step{"stopping"});
  auto next = [&] {
    auto frame = wire::receive_frame(launcher.get());
    auto event = frame ? wire::decode<wire::Event>(frame->bytes, wire::From::ours) : std::unexpected(frame.error());
    return event.value_or(wire::Event());
  };
  EXPECT_TRUE(std::holds_alternative<wire::Step>(next())) << "it was told that the agent runs";
  clients->answer_attaches();
  EXPECT_TRUE(std::holds_alternative<wire::Attached>(next()));
  ASSERT_TRUE(send_frame(launcher.get(), FrameType::attach, wire::encode(wire::Attach{})));
  turn([](const Frame&) {});
  EXPECT_TRUE(std::holds_alternative<wire::Attached>(next()));
}

// A near side knows only from the code that there is nothing to fetch. Its request to attach may not have been read
// yet.
TEST_F(ClientsTest, EveryClientThatMayAttachIsToldThatTheAgentNeverRan) {
  const std::string path = ::testing::TempDir() + "clients-" + random_hex(4);
  ASSERT_TRUE(clients->listen(path));
  clients->hold_attaches();
  auto connect = [&] { return connect_to(path).value(); };
  UniqueFd waiting = connect(), silent = connect(), stopping = connect();
  ASSERT_TRUE(send_frame(waiting.get(), FrameType::attach, wire::encode(wire::Attach{})));
  ASSERT_TRUE(send_frame(stopping.get(), FrameType::stop, ""));
  for (int turns = 0; turns < 4; ++turns) turn([](const Frame&) {});
  ASSERT_TRUE(send_frame(silent.get(), FrameType::attach, wire::encode(wire::Attach{})));
  clients->fail({Code::canceled, "stopped"});
  clients->event(wire::Step{"the end"});
  auto told = [](const UniqueFd& client) {
    auto frame = wire::receive_frame(client.get());
    if (!frame || frame->type != FrameType::failure) return Code::protocol;
    auto next = wire::receive_frame(client.get());
    EXPECT_TRUE(next && next->type == FrameType::event) << "it is told once";
    return wire::decode<Error>(frame->bytes, wire::From::ours)->code;
  };
  EXPECT_EQ(told(waiting), Code::not_found);
  EXPECT_EQ(told(silent), Code::not_found);
  EXPECT_EQ(told(stopping), Code::canceled);
  EXPECT_EQ(told(launcher), Code::canceled);
  ::unlink(path.c_str());
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
