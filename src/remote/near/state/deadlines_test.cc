#include "remote/near/state/deadlines.h"

#include <gtest/gtest.h>

namespace bottle::remote {
namespace {

TEST(Deadlines, AVmsTimeIsNearlyUpInItsLastTenth) {
  Deadlines deadlines;
  EXPECT_FALSE(deadlines.vm_is_nearly_over(1e9)) << "not a VM";
  deadlines.vm_ends_at(1000, 300);
  EXPECT_FALSE(deadlines.vm_is_nearly_over(969));
  EXPECT_TRUE(deadlines.vm_is_nearly_over(970));
  deadlines.vm_ends_at(100000, 8 * 3600);
  EXPECT_FALSE(deadlines.vm_is_nearly_over(99879)) << "two minutes are enough";
  EXPECT_TRUE(deadlines.vm_is_nearly_over(99880));
  deadlines.vm_ends_at(1000, 25);
  EXPECT_TRUE(deadlines.vm_is_nearly_over(995)) << "and five seconds the least";
}

TEST(Deadlines, AMachineThatDoesNotStopIsNotAwaitedForever) {
  Deadlines deadlines;
  EXPECT_FALSE(deadlines.is_stopping() || deadlines.grace_is_over(1e9) || deadlines.patience_is_over(1e9));
  deadlines.ask_to_stop(100);
  deadlines.ask_to_stop(110);  // only the first call counts
  EXPECT_TRUE(deadlines.is_stopping());
  EXPECT_FALSE(deadlines.grace_is_over(120));
  EXPECT_TRUE(deadlines.grace_is_over(120.1));
  EXPECT_FALSE(deadlines.patience_is_over(700));
  EXPECT_TRUE(deadlines.patience_is_over(700.1));
}

}  // namespace
}  // namespace bottle::remote
