#include "session/guard_link/guard_link.h"

#include <gtest/gtest.h>

namespace bottle::session {
namespace {

TEST(GuardRule, SaysForWhichHostsTokensAreCounted) {
  EXPECT_FALSE(guard_rule({.host = "a.test", .limit = {.requests = 1}}).reads_usage);
  EXPECT_TRUE(guard_rule({.host = "a.test", .limit = {.tokens = 1}}).reads_usage);
  EXPECT_TRUE(guard_rule({.host = "a.test", .limit = {.cost = 0.5}}).reads_usage);
  EXPECT_TRUE(guard_rule({.host = "a.test", .preset = "openai@1"}).reads_usage);
  EXPECT_FALSE(guard_rule({.host = "a.test", .preset = "npm@1"}).reads_usage);
  EXPECT_EQ(guard_limit({1, 2, 3, 4, 0.25}), (wire::GuardLimit{{1, 2, 3, 4, 250'000}}));
}

}  // namespace
}  // namespace bottle::session
