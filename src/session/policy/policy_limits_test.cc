// Tests changes of limits while the agent works.
#include <gtest/gtest.h>

#include "session/policy/policy_change.h"

namespace bottle::session {
namespace {

using wire::Quantity;

TEST(ChangedLimits, ChangeTheRulesOfAHostOrTheSession) {
  wire::GuardEgress egress;
  egress.allow = {{.host = "*.a.test", .limit = {{5}}}, {.host = "b.a.test"}, {.host = "c.test", .deny = true}};
  auto changed = changed_limits(egress, {.host = "*.A.test", .requests = 10, .tokens = 7});
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->allow[0].limit, (wire::GuardLimit{{10, 0, 0, 7, 0}}));
  EXPECT_TRUE(changed->allow[0].inspect && changed->allow[0].reads_usage) << "tokens are read from answers";
  EXPECT_FALSE(changed->allow[1].limit.any()) << "another rule keeps its limit";
  changed = changed_limits(*changed, {.host = "*.a.test", .requests = 0});
  EXPECT_EQ(changed->allow[0].limit.of(Quantity::requests), 0u);
  EXPECT_EQ(changed->allow[0].limit.of(Quantity::tokens), 7u);
  changed = changed_limits(egress, {.names = 3});
  EXPECT_EQ(changed->limit.of(Quantity::names), 3u);
  EXPECT_EQ(changed->allow, egress.allow);
}

TEST(ChangedLimits, AWiderPatternChangesTheNarrowerRulesOfABroker) {
  wire::GuardEgress egress;
  egress.allow = {{.host = "b.a.test", .limit = {{5}}}, {.host = "c.test", .limit = {{5}}}};
  auto changed = changed_limits(egress, {.host = "*.a.test", .requests = 10});
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->allow[0].limit.of(Quantity::requests), 10u);
  EXPECT_EQ(changed->allow[1].limit.of(Quantity::requests), 5u);
}

TEST(ChangedLimits, AreRefusedIfTheGuardWouldRefuseThem) {
  wire::GuardEgress egress;
  egress.allow = {{.host = "a.test"}, {.host = "b.test", .deny = true}};
  EXPECT_FALSE(changed_limits(egress, {.host = "other.test", .requests = 1}));
  EXPECT_FALSE(changed_limits(egress, {.host = "b.test", .requests = 1}));
  EXPECT_FALSE(changed_limits(egress, {.names = manifest::kMostNames + 1}));
  EXPECT_FALSE(changed_limits(egress, {.cost = 1})) << "there are no prices";
  egress.prices = {{"m", 1, 2, 1, 1}};
  EXPECT_TRUE(changed_limits(egress, {.cost = 1}));
}

}  // namespace
}  // namespace bottle::session
