// Provides helpers for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "plan/plan.h"

namespace bottle::plan {

inline manifest::Manifest parsed(const std::string& yaml) {
  auto manifest = manifest::parse({"p.yaml", yaml});
  EXPECT_TRUE(manifest) << manifest.error().what;
  return manifest ? *manifest : manifest::Manifest{};
}

inline Facts facts() {
  return {.session = "s1",
          .workspace = "/home/me/app",
          .uid = 1001,
          .gid = 1001,
          .environment = {{"HOME", "/home/me"}, {"CLAUDE_BOTTLE_OAUTH_TOKEN", "real-token"}},
          .runtimes = {"runc", "runsc"},
          .repository = "/home/me/app/.git",
          .skills = {{"review", "/home/me/.claude/skills/review"}},
          .images = {.bootstrap_hash = "0123456789ab", .architecture = "x86_64"}};
}

}  // namespace bottle::plan
