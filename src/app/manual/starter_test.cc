#include "app/manual/starter.h"

#include <gtest/gtest.h>

#include <string>

#include "manifest/manifest.h"

namespace bottle::app {
namespace {

TEST(Starter, IsAValidManifest) {
  auto parsed = manifest::parse({"bottle.yaml", kStarter});
  ASSERT_TRUE(parsed) << parsed.error().what;
  EXPECT_TRUE(parsed->agents.contains("claude"));
  EXPECT_TRUE(parsed->bottles.at("work").egress.allow.empty()) << "nothing is open that the operator did not open";
}

// The keys in its comments must be valid too when the operator removes the #.
TEST(Starter, ItsCommentedKeysAreValid) {
  std::string text, line;
  bool allow = false;
  for (size_t at = 0; kStarter[at]; ++at) {
    if (kStarter[at] != '\n') {
      line += kStarter[at];
      continue;
    }
    size_t hash = line.find("# ");
    size_t first = line.find_first_not_of(' ');
    bool prose = hash == 0 || line.find("A bottle is") != line.npos || line.find("The same, for") != line.npos;
    if (line == "      allow: []") line = "", allow = true;
    else if (!prose && hash == first && hash != line.npos) line.erase(hash, 2);
    text += line + "\n";
    line.clear();
  }
  ASSERT_TRUE(allow);
  auto parsed = manifest::parse({"bottle.yaml", text});
  ASSERT_TRUE(parsed) << parsed.error().what << "\n" << text;
  EXPECT_EQ(parsed->agents.size(), 4u);
  EXPECT_EQ(parsed->bottles.at("work").egress.allow.size(), 2u);
  EXPECT_EQ(parsed->bottles.at("work").secrets.size(), 1u);
  EXPECT_TRUE(parsed->bottles.contains("look"));
}

}  // namespace
}  // namespace bottle::app
