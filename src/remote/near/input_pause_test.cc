#include "remote/near/input_pause.h"

#include <gtest/gtest.h>

namespace bottle::remote {
namespace {

using namespace std::chrono_literals;

TEST(InputPause, LastsAsLongAsTheFarSideSaysSo) {
  InputPause pause;
  InputPause::Time now{};
  EXPECT_FALSE(pause.waits(now));
  for (int i = 0; i < 5; ++i) {
    pause.told(true, now);
    EXPECT_TRUE(pause.waits(now += 1s));
  }
  pause.told(false, now);
  EXPECT_FALSE(pause.waits(now));
  pause.told(true, now);
  EXPECT_TRUE(pause.waits(now));
  EXPECT_FALSE(pause.waits(now + InputPause::kCounts)) << "the far side has fallen silent";
  pause.reset();
  EXPECT_FALSE(pause.waits(now));
}

TEST(InputPause, AFarSideCannotKeepAClientWaitingForLong) {
  InputPause pause;
  InputPause::Time now{};
  for (int i = 0; i < 60; ++i) {
    pause.told(true, now);
    now += 500ms;
  }
  EXPECT_FALSE(pause.waits(now));
  pause.told(false, now);
  pause.told(true, now);
  EXPECT_TRUE(pause.waits(now));
}

}  // namespace
}  // namespace bottle::remote
