#include "app/world/interruption.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <functional>
#include <thread>

namespace bottle::app {
namespace {

bool comes_true(const std::function<bool()>& is_true) {
  for (auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
       std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(std::chrono::milliseconds(1)))
    if (is_true()) return true;
  return false;
}

// A start on a machine that has changed begins again after follow() has handled the signals.
TEST(Interruption, ASignalRequestsAStopAfterTheSignalsWereTakenBack) {
  Interruption interruption("stopped", -1);
  interruption.hand_over();
  ::raise(SIGTERM);
  EXPECT_FALSE(interruption.stop().stop_requested());
  interruption.take_back();
  EXPECT_TRUE(comes_true([&] { return interruption.stop().stop_requested(); }));
  EXPECT_EQ(interruption.signal(), SIGTERM);
}

TEST(Interruption, ASignalThatFollowReceivedRequestsAStopWhenTheSignalsAreTakenBack) {
  Interruption interruption("stopped", -1);
  interruption.hand_over();
  interruption.note_signal(SIGINT);
  interruption.take_back();
  EXPECT_TRUE(interruption.stop().stop_requested());
}

}  // namespace
}  // namespace bottle::app
