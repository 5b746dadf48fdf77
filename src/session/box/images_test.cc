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

TEST(Images, AreOldWhenTheirAgentsAre) {
  constexpr int64_t kNow = 1'800'000'000, kDay = 86400;
  auto is_old = [&](int64_t days, bool current, const std::string& package) {
    OwnImage image;
    image.created = kNow - days * kDay;
    image.current = current;
    image.package = package;
    return with_old_agents({image}, kNow).size() == 1;
  };
  EXPECT_TRUE(is_old(31, true, "@openai/codex"));
  EXPECT_FALSE(is_old(30, true, "@openai/codex"));
  EXPECT_FALSE(is_old(-1, true, "@openai/codex")) << "made on a machine whose clock is ahead";
  EXPECT_FALSE(is_old(400, false, "@openai/codex")) << "no start would use it";
  EXPECT_FALSE(is_old(400, true, "")) << "it holds no agent of npm's, or an older bottle made it";
}

}  // namespace
}  // namespace bottle::session
