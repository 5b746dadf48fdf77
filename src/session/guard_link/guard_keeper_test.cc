#include "session/guard_link/guard_keeper.h"

#include <gtest/gtest.h>

namespace bottle::session {
namespace {

using namespace std::chrono_literals;
using Time = GuardKeeper::Time;

// Makes an attempt, and returns whether it brought the guard back.
bool attempt(GuardKeeper& keeper, Time now, bool succeeds) {
  keeper.begin([succeeds]() -> Result<GuardLink> {
    if (!succeeds) return fail(Code::unavailable, "the engine is busy");
    return GuardLink(docker::Attached(UniqueFd(), ""));
  });
  EXPECT_TRUE(keeper.is_starting());
  EXPECT_FALSE(keeper.is_due(now + 1h)) << "while one is under way";
  keeper.end();
  auto link = keeper.take(now);
  EXPECT_TRUE(link);
  EXPECT_FALSE(keeper.take(now)) << "its outcome is returned once";
  return link && link->has_value();
}

TEST(GuardKeeper, AGuardThatDiedIsStartedImmediately) {
  Time now{};
  GuardKeeper keeper(now);
  EXPECT_TRUE(keeper.is_up());
  EXPECT_FALSE(keeper.is_due(now));
  keeper.lose(now);
  EXPECT_FALSE(keeper.is_up());
  ASSERT_TRUE(keeper.is_due(now));
  EXPECT_TRUE(attempt(keeper, now, true));
  EXPECT_TRUE(keeper.is_up());
  EXPECT_EQ(keeper.restarts(), 1u);
}

TEST(GuardKeeper, ThePauseAfterAFailureDoublesUpToHalfAMinute) {
  Time now{};
  GuardKeeper keeper(now);
  keeper.lose(now);
  for (auto pause : {400ms, 800ms, 1600ms, 3200ms, 6400ms, 12800ms, 25600ms, 30000ms, 30000ms}) {
    EXPECT_FALSE(attempt(keeper, now, false));
    EXPECT_FALSE(keeper.is_up());
    EXPECT_FALSE(keeper.is_due(now + pause - 1ms)) << pause.count();
    EXPECT_TRUE(keeper.is_due(now += pause)) << pause.count();
  }
  EXPECT_EQ(keeper.attempts(), 9);
  EXPECT_EQ(keeper.restarts(), 0u);
}

// Such a guard must not be restarted in a tight loop, with two events each time.
TEST(GuardKeeper, ThePauseAlsoDoublesIfTheGuardStartsAndSoonDies) {
  Time now{};
  GuardKeeper keeper(now);
  for (auto pause : {0ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 12800ms, 25600ms, 30000ms, 30000ms}) {
    keeper.lose(now);
    if (pause > 0ms) EXPECT_FALSE(keeper.is_due(now + pause - 1ms)) << pause.count();
    EXPECT_TRUE(keeper.is_due(now += pause)) << pause.count();
    EXPECT_TRUE(attempt(keeper, now, true));
  }
  EXPECT_EQ(keeper.restarts(), 10u);
}

TEST(GuardKeeper, AGuardThatWasUpForAMinuteBeginsWithAShortPauseAgain) {
  for (auto up : {30s, 90s}) {
    Time now{};
    GuardKeeper keeper(now);
    keeper.lose(now);
    for (bool succeeds : {false, false, true}) EXPECT_EQ(attempt(keeper, now, succeeds), succeeds);
    keeper.lose(now += up);
    EXPECT_FALSE(attempt(keeper, now, false));
    EXPECT_EQ(keeper.attempts(), up == 30s ? 4 : 1);
    EXPECT_EQ(keeper.is_due(now + 1s), up == 90s);
  }
}

}  // namespace
}  // namespace bottle::session
