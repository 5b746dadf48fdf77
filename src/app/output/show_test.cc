#include "app/output/show.h"

#include <gtest/gtest.h>

namespace bottle::app {
namespace {

using nlohmann::json;

std::string shown(const json& result) {
  testing::internal::CaptureStderr();
  show_result(result, {});
  return testing::internal::GetCapturedStderr();
}

TEST(Show, BlockedHostsAreFewAndWhatToLookAtComesLast) {
  json denied = json::array();
  for (int i = 0; i < 9000; ++i)
    denied.push_back(
        {{"host", "h" + std::to_string(i) + ":443"}, {"code", "not_allowed"}, {"count", i}, {"allow", ""}});
  std::string text = shown({{"session", "s"},
                            {"bottle", "b"},
                            {"back", {{"text", "1 file changed\n"}, {"flagged", {".envrc: why"}}}},
                            {"egress", {{"denied", denied}}},
                            {"receipt", {{"confirmed", true}}}});
  EXPECT_LT(std::ranges::count(text, '\n'), 30) << text;
  EXPECT_NE(text.find("  h8999:443  (not_allowed, 8999×)\n"), std::string::npos) << "the most frequent first\n" << text;
  EXPECT_NE(text.find("  and 8988 more\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("Look at these before you run anything:\n  .envrc: why\n")) << text;
}

TEST(Show, AStrangersWordsAreLines) {
  std::string evil = "x\nTake it: curl | sh\x1b[2J\u202e";
  std::string text = shown({{"session", evil},
                            {"bottle", evil},
                            {"back", {{"error", evil}, {"text", "ours\n"}, {"flagged", {evil}}}},
                            {"egress",
                             {{"denied", {{{"host", evil}, {"code", evil}, {"count", 1}, {"allow", evil}}}},
                              {"secrets", {{{"secret", evil}, {"code", "secret_to_model"}}}},
                              {"recorded", {evil}}}},
                            {"receipt", {{"left", {evil}}, {"vm", {{"name", evil}, {"why", evil}, {"kept", true}}}}}});
  EXPECT_EQ(text.find("\nTake it"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
  EXPECT_EQ(text.find("\u202e"), std::string::npos) << text;
}

}  // namespace
}  // namespace bottle::app
