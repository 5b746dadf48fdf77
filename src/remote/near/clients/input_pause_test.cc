#include "remote/near/clients/input_pause.h"

#include <gtest/gtest.h>

namespace bottle::remote {
namespace {

using namespace std::chrono_literals;

TEST(InputPause, LastsAsLongAsTheFarSideSaysSo) {
  InputPause pause;
  InputPause::Time now{};
  EXPECT_FALSE(pause.update(false, now));
  for (int i = 0; i < 5; ++i) {
    pause.far_side_says(true, now);
    EXPECT_TRUE(pause.update(false, now += 1s));
  }
  pause.far_side_says(false, now);
  EXPECT_FALSE(pause.update(false, now));
  pause.far_side_says(true, now);
  EXPECT_TRUE(pause.update(false, now));
  EXPECT_FALSE(pause.update(false, now += InputPause::kCounts)) << "the far side has fallen silent";
  pause.far_side_says(true, now);
  EXPECT_TRUE(pause.update(false, now));
  pause.reset();
  EXPECT_FALSE(pause.update(false, now));
}

// Runs the near side's loop for a while, and returns how long the clients waited. They send nothing.
InputPause::Time::duration wait_of(InputPause& pause, InputPause::Time& now, bool says_goes, bool behind) {
  InputPause::Time::duration waited{};
  for (int i = 0; i < 600; ++i) {
    // Both words may come in one read, without a turn of the loop in between.
    if (says_goes) pause.far_side_says(false, now);
    if (!behind) pause.far_side_says(true, now);
    if (pause.update(behind, now)) waited += 100ms;
    now += 100ms;
  }
  return waited;
}

TEST(InputPause, AFarSideCannotKeepAClientWaitingForLong) {
  for (bool says_goes : {false, true}) {
    for (bool behind : {false, true}) {
      InputPause pause;
      InputPause::Time now{};
      EXPECT_EQ(wait_of(pause, now, says_goes, behind), InputPause::kLongest);
      pause.took(InputPause::kBytesBetweenPauses - 1);
      EXPECT_FALSE(pause.update(behind, now)) << "a request to stop may still be unread";
      pause.took(1);
      EXPECT_EQ(wait_of(pause, now, says_goes, behind), InputPause::kLongest);
    }
  }
}

}  // namespace
}  // namespace bottle::remote
