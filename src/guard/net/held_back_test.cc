// Checks when bytes that are held back must be released.
#include "guard/net/held_back.h"

#include <gtest/gtest.h>

namespace bottle::guard {
namespace {

TEST(HeldBack, LeavesInAPause) {
  HeldBack held;
  EXPECT_FALSE(held.due({.holds = true, .came = true}, 100));
  EXPECT_EQ(held.until(1000), 100 + kMostQuiet);
  EXPECT_FALSE(held.due({.holds = true}, 100 + kMostQuiet - 1));
  EXPECT_TRUE(held.due({.holds = true}, 100 + kMostQuiet));
  held.released();
  EXPECT_EQ(held.until(1000), 1000);
}

TEST(HeldBack, BytesThatArriveAreNoPauseButTheWholeWaitIsBounded) {
  HeldBack held;
  int64_t now = 100;
  for (; now < 100 + kMostHeldBack; ++now) ASSERT_FALSE(held.due({.holds = true, .came = true}, now)) << now;
  EXPECT_EQ(held.until(1000), now);
  EXPECT_TRUE(held.due({.holds = true, .came = true}, now));
}

TEST(HeldBack, BytesHeldBackAfterOthersLeftWaitAgain) {
  HeldBack held;
  for (int64_t now = 100; now < 1000; ++now)
    ASSERT_FALSE(held.due({.holds = true, .moved = now % 10 == 0}, now)) << now;
  EXPECT_FALSE(held.due({}, 1000));
  EXPECT_EQ(held.until(9000), 9000);
}

}  // namespace
}  // namespace bottle::guard
