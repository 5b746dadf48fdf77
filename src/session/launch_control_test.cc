#include "session/launch_control.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>

namespace bottle::session {
namespace {

using wire::FrameType, wire::Values, wire::receive_frame, wire::send_frame;
using namespace std::chrono_literals;

// Stands for the launcher's end of a session's clients.
struct LauncherEnd {
  LauncherEnd() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    socket.reset(ends[0]);
    clients.emplace(UniqueFd(ends[1]));
  }
  void send(FrameType type, std::string_view bytes = "") { EXPECT_TRUE(send_frame(socket.get(), type, bytes)); }

  UniqueFd socket;
  std::optional<Clients> clients;
};

Result<> wait_for_stop(LaunchControl& control) {
  for (int i = 0; i < 6000 && !control.stop().stop_requested(); ++i) std::this_thread::sleep_for(10ms);
  return control.claim_gate();
}

// ARCHITECTURE.md has the same table.
TEST(LaunchState, TheFirstStopOrClaimDecides) {
  using enum LaunchState;
  struct Row {
    LaunchState state, after_stop, after_claim;
  };
  constexpr Row kTable[] = {{undecided, stopped, claimed}, {stopped, stopped, stopped}, {claimed, claimed, claimed}};
  static_assert(std::size(kTable) == static_cast<size_t>(claimed) + 1);
  for (const Row& row : kTable) {
    EXPECT_EQ(after(row.state, LaunchEvent::stop), row.after_stop) << static_cast<int>(row.state);
    EXPECT_EQ(after(row.state, LaunchEvent::claim), row.after_claim) << static_cast<int>(row.state);
  }
}

TEST(LaunchControl, StopKeepsTheGateShut) {
  LauncherEnd launcher;
  LaunchControl control(*launcher.clients, {}, false);
  launcher.send(FrameType::stop);
  Result<> gate;
  auto served = control.serve([&] { return gate = wait_for_stop(control); });
  ASSERT_FALSE(gate);
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().code, Code::canceled);
  EXPECT_EQ(served.error().what, "stopped before the agent ran");
}

TEST(LaunchControl, LaunchersDeathKeepsTheGateShut) {
  LauncherEnd launcher;
  LaunchControl control(*launcher.clients, {}, false);
  launcher.socket.reset();
  auto served = control.serve([&] { return wait_for_stop(control); });
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().what, "the launcher exited before the agent ran");
}

TEST(LaunchControl, AStopAfterTheGateGoesToTheRunningSession) {
  LauncherEnd launcher;
  LaunchControl control(*launcher.clients, {}, false);
  auto served = control.serve([&]() -> Result<> {
    EXPECT_TRUE(control.claim_gate());
    launcher.send(FrameType::stop);
    launcher.send(FrameType::ping);  // its answer shows that the stop was taken
    auto answer = receive_frame(launcher.socket.get());
    EXPECT_TRUE(answer && answer->type == FrameType::pong);
    return {};
  });
  EXPECT_TRUE(served);
  EXPECT_FALSE(control.stop().stop_requested());
  auto early = control.take_early();
  ASSERT_EQ(early.size(), 1u);
  EXPECT_EQ(early[0].type, FrameType::stop);
}

TEST(LaunchControl, TheFirstReasonForAStopIsTold) {
  LauncherEnd launcher;
  LaunchControl control(*launcher.clients, {}, false);
  launcher.send(FrameType::stop);
  launcher.socket.reset();
  auto served = control.serve([&] { return wait_for_stop(control); });
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().what, "stopped before the agent ran");
}

TEST(LaunchControl, InvalidValuesEndTheWaitForValues) {
  LauncherEnd launcher;
  LaunchControl control(*launcher.clients, {}, true);
  launcher.send(FrameType::values, "not JSON");
  EXPECT_FALSE(control.serve([&]() -> Result<> {
    TRY(control.await_values());
    return {};
  }));
}

TEST(LaunchControl, StopEndsTheWaitForValues) {
  LauncherEnd launcher;
  LaunchControl control(*launcher.clients, {}, true);
  launcher.send(FrameType::stop);
  auto served = control.serve([&]() -> Result<> {
    EXPECT_EQ(control.await_values().error().code, Code::canceled);
    return {};
  });
  EXPECT_FALSE(served);  // a stop also ends a launch whose work is done
}

TEST(LaunchControl, ValuesArriveAndDoNotReplaceExistingOnes) {
  LauncherEnd launcher;
  Values here, more;
  here.secrets["token"] = "from a file";
  more.secrets = {{"token", "other"}, {"key", "k"}};
  LaunchControl control(*launcher.clients, here, true);
  launcher.send(FrameType::values, wire::encode(more));
  auto served = control.serve([&]() -> Result<> {
    Values values = TRY(control.await_values());
    EXPECT_EQ(values.secrets["token"], "from a file");
    EXPECT_EQ(values.secrets["key"], "k");
    return {};
  });
  EXPECT_TRUE(served);
}

TEST(LaunchControl, EarlyInputIsKeptInItsOrder) {
  LauncherEnd launcher;
  LaunchControl control(*launcher.clients, {}, true);
  launcher.send(FrameType::input, "a");
  launcher.send(FrameType::resize, "b");
  launcher.send(FrameType::values, wire::encode(Values()));
  EXPECT_TRUE(control.serve([&]() -> Result<> {
    TRY(control.await_values());
    return {};
  }));
  auto early = control.take_early();
  ASSERT_EQ(early.size(), 2u);
  EXPECT_EQ(early[0].bytes + early[1].bytes, "ab");
}

}  // namespace
}  // namespace bottle::session
