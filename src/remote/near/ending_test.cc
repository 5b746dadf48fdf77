#include "remote/near/ending.h"

#include <gtest/gtest.h>

namespace bottle::remote {
namespace {

TEST(Ending, AVmsTimeIsNearlyUpATenthBeforeItIs) {
  Ending ending;
  EXPECT_FALSE(ending.is_near(1e9)) << "not a VM";
  ending.lives_until(1000, 300);
  EXPECT_FALSE(ending.is_near(969));
  EXPECT_TRUE(ending.is_near(970));
  ending.lives_until(100000, 8 * 3600);
  EXPECT_FALSE(ending.is_near(99879)) << "two minutes are enough";
  EXPECT_TRUE(ending.is_near(99880));
  ending.lives_until(1000, 25);
  EXPECT_TRUE(ending.is_near(995)) << "and five seconds the least";
}

TEST(Ending, WhoDoesNotObeyIsNotWaitedForForEver) {
  Ending ending;
  EXPECT_FALSE(ending.is_wished() || ending.grace_is_over(1e9) || ending.patience_is_over(1e9));
  ending.wish(100);
  ending.wish(110);  // again: the first counts
  EXPECT_TRUE(ending.is_wished());
  EXPECT_FALSE(ending.grace_is_over(120));
  EXPECT_TRUE(ending.grace_is_over(120.1));
  EXPECT_FALSE(ending.patience_is_over(700));
  EXPECT_TRUE(ending.patience_is_over(700.1));
}

}  // namespace
}  // namespace bottle::remote
