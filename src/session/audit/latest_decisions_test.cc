// Checks which of the latest decisions an operator on another machine gets, and how many at most.
#include "session/audit/latest_decisions.h"

#include <gtest/gtest.h>

namespace bottle::session {
namespace {

wire::Decision decision(const std::string& path) {
  return {.action = wire::DecisionAction::deny, .host = "a.test", .path = path};
}

TEST(LatestDecisions, EachIsReturnedOnce) {
  LatestDecisions latest;
  EXPECT_EQ(latest.since(std::nullopt).next, 0u);
  for (int i = 0; i < 5; ++i) latest.add(decision(std::to_string(i)));
  EXPECT_EQ(latest.since(std::nullopt).next, 5u);
  EXPECT_TRUE(latest.since(std::nullopt).decisions.empty());
  auto two = latest.since(3);
  ASSERT_EQ(two.decisions.size(), 2u);
  EXPECT_EQ(two.decisions[0].path, "3");
  EXPECT_EQ(two.next, 5u);
  EXPECT_TRUE(latest.since(5).decisions.empty());
  EXPECT_EQ(latest.since(900).next, 5u) << "of a guard's machine that was started again";
}

TEST(LatestDecisions, LimitMemoryAndAnswers) {
  LatestDecisions latest;
  for (size_t i = 0; i < 3 * LatestDecisions::kMost; ++i) latest.add(decision(std::to_string(i)));
  auto first = latest.since(0);
  EXPECT_EQ(first.from, 2 * LatestDecisions::kMost) << "the earlier ones are gone";
  EXPECT_EQ(first.decisions.size(), LatestDecisions::kMostAtOnce);
  EXPECT_EQ(first.decisions[0].path, std::to_string(2 * LatestDecisions::kMost));
  EXPECT_EQ(latest.since(first.next).from, first.next);
  for (size_t i = 0; i < LatestDecisions::kMost; ++i) latest.add(decision(std::string(1 << 16, 'x')));
  auto large = latest.since(0);
  EXPECT_LT(wire::encode(large).size(), wire::LatestDecisions::kMost);
  size_t answers = 0;
  for (uint64_t from = large.from; !latest.since(from).decisions.empty(); from = latest.since(from).next) ++answers;
  EXPECT_LE(answers, LatestDecisions::kMostBytes / LatestDecisions::kMostBytesAtOnce + 3);
}

}  // namespace
}  // namespace bottle::session
