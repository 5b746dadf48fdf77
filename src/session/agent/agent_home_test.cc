#include "session/agent/agent_home.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "base/files/file.h"
#include "base/files/unreadable_test.h"
#include "base/ids.h"

namespace bottle::session {
namespace {

using wire::Job;

TEST(AgentHome, ASkillThatCannotBeReadToItsEndIsAnError) {
  std::string skill = ::testing::TempDir() + "/bottle-" + random_hex(4);
  ASSERT_TRUE(make_directories(skill) && write_file_atomically(skill + "/SKILL.md", "text"));
  Job job;
  job.plan.skills = {skill};
  auto is_put = [&] {
    docker::TarWriter tar([](std::string_view) { return Result<>(); });
    return put_home(tar, job).has_value();
  };
  EXPECT_TRUE(is_put());
  auto noticed = without_listings([&] { return !is_put(); });
  std::filesystem::remove_all(skill);
  if (!noticed) GTEST_SKIP() << "this system cannot simulate an error of the disk";
  EXPECT_TRUE(*noticed);
}

}  // namespace
}  // namespace bottle::session
