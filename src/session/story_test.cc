// These tests run whole sessions on an engine in memory and check what is left in its world.
#include <gtest/gtest.h>

#include "session/session_world_test.h"

namespace bottle::session {
namespace {

class Story : public SessionWorld {};

TEST_F(Story, ASessionLeavesItsResultAndNothingElse) {
  docker::FakeDocker docker;
  furnish(docker);
  auto outcome = run(docker);
  ASSERT_TRUE(outcome.result) << outcome.failure.value_or(Error()).what;
  EXPECT_EQ(outcome.result->exit, 7);
  EXPECT_TRUE(outcome.result->receipt.confirmed);
  EXPECT_EQ(left(docker), std::set<std::string>());
  EXPECT_TRUE(is_home());
  EXPECT_TRUE(others_are_untouched(docker));
  EXPECT_FALSE(std::filesystem::exists(scratch.directories.sessions + "/x1"));
}

}  // namespace
}  // namespace bottle::session
