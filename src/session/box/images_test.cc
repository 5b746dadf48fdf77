#include "session/box/images.h"

#include <gtest/gtest.h>

namespace bottle::session {
namespace {

TEST(Images, BringNoLabelsThatBottleSetsOnSessions) {
  auto with = [](const nlohmann::json& labels) {
    return refuse_forged_labels({{"Id", "sha256:1"}, {"Config", {{"Labels", labels}}}}, "some:image").has_value();
  };
  EXPECT_TRUE(with(nullptr));
  EXPECT_TRUE(with({{"maintainer", "x"}, {"bottle.image", "agent"}, {"bottle.agent", "claude"}, {"bottles", "x"}}));
  for (const char* key : {"bottle.session", "bottle.owner", "bottle.ledger", "bottle.role", "bottle.x"})
    EXPECT_FALSE(with({{key, ""}})) << key;
  EXPECT_TRUE(refuse_forged_labels(nlohmann::json(), "some:image"));
}

}  // namespace
}  // namespace bottle::session
