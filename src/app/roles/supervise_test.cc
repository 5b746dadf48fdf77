#include "app/roles/supervise.h"

#include <gtest/gtest.h>

#include "app/world/world.h"

namespace bottle::app {
namespace {

using Variables = std::map<std::string, std::string>;

TEST(Supervise, KeepsOnlyTheVariablesThatASessionNeeds) {
  const Variables all = {{"PATH", "/opt/bin"},     {"HOME", "/elsewhere"},      {"TMPDIR", "/large"},
                         {"SUDO_UID", "1000"},     {"ANTHROPIC_API_KEY", "sk"}, {"AWS_SECRET_ACCESS_KEY", "key"},
                         {"SSH_AUTH_SOCK", "/s/a"}};
  wire::Job job;
  job.directories.home = "/home/me";
  EXPECT_EQ(kept_variables(job, all), (Variables{{"PATH", kUsualPath}, {"HOME", "/home/me"}, {"SUDO_UID", "1000"}}));
  job.remote.emplace();
  EXPECT_EQ(kept_variables(job, all), (Variables{{"PATH", "/opt/bin"},
                                                 {"HOME", "/home/me"},
                                                 {"SUDO_UID", "1000"},
                                                 {"SSH_AUTH_SOCK", "/s/a"},
                                                 {"TMPDIR", "/large"}}));
}

}  // namespace
}  // namespace bottle::app
