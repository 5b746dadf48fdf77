#include "app/doctor/doctor.h"

#include <gtest/gtest.h>

#include <functional>

namespace bottle::app {
namespace {

// Returns a machine without faults.
Health healthy() {
  Health h;
  h.socket = h.origin = "/var/run/docker.sock";
  h.version = "20.10.24";
  h.api = "1.41";
  h.default_runtime = "runc";
  h.runtimes = {{"runc", "", 300}, {"runsc", "", 600}};
  h.engine_disk = h.state_disk = 50'000'000'000;
  h.memory = 16'000'000'000;
  h.memory_available = 8'000'000'000;
  h.tools.mmdebstrap = h.tools.npm = true;
  h.tools.git = "git version 2.39.5";
  h.keys.claude_token = true;
  h.policy_files = {"/home/me/.config/bottle/bottle.yaml"};
  h.agents = 2;
  h.bottles = 1;
  h.providers = {"claude", "shell"};
  return h;
}

TEST(Doctor, FindsNoFaultOnAHealthyMachine) {
  for (const Finding& finding : diagnose(healthy())) {
    EXPECT_EQ(finding.severity, Severity::ok) << finding.what;
    EXPECT_EQ(finding.todo, "");
  }
}

// Only the images of claude and codex contain a package from npm.
TEST(Doctor, NpmIsNotNeededForOtherAgents) {
  Health health = healthy();
  health.tools.npm = false;
  health.providers = {"shell", "command"};
  for (const Finding& finding : diagnose(health)) EXPECT_EQ(finding.severity, Severity::ok) << finding.what;
  health.tools.mmdebstrap = false;
  for (const Finding& finding : diagnose(health))
    EXPECT_EQ(finding.todo.find("npm"), std::string::npos) << finding.todo;
}

struct Case {
  const char* name;
  std::function<void(Health&)> harm;
  const char* code;
  Severity severity;
  const char *says, *todo;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Ailments : public ::testing::TestWithParam<Case> {};

// diagnose() must find the one problem, with what to do, and nothing else.
TEST_P(Ailments, AreFound) {
  Health health = healthy();
  GetParam().harm(health);
  int found = 0;
  for (const Finding& finding : diagnose(health)) {
    if (finding.severity == Severity::ok) continue;
    ++found;
    EXPECT_EQ(finding.code, GetParam().code);
    EXPECT_EQ(finding.severity, GetParam().severity) << finding.what;
    EXPECT_NE(finding.what.find(GetParam().says), std::string::npos) << finding.what;
    EXPECT_NE(finding.todo.find(GetParam().todo), std::string::npos) << finding.todo;
    EXPECT_NE(finding.todo, "");
  }
  EXPECT_EQ(found, 1);
}

INSTANTIATE_TEST_SUITE_P(
    All, Ailments,
    ::testing::Values(
        Case{"engine", [](Health& h) { h.engine_error = Error{Code::unavailable, "no engine answers", "start it"}; },
             "engine", Severity::fail, "no engine answers", "start it"},
        Case{"limits", [](Health& h) { h.limits.pids = h.limits.cpus = false; }, "limits", Severity::warn, "cpus, pids",
             "cgroup"},
        Case{"rootless_limits",
             [](Health& h) {
               h.rootless = true;
               h.limits.memory = false;
             },
             "limits", Severity::warn, "memory", "Delegate"},
        Case{"seccomp", [](Health& h) { h.seccomp = false; }, "seccomp", Severity::warn, "seccomp", "kernel"},
        Case{"import", [](Health& h) { h.guard_image_error = Error{Code::denied, "importing failed", "make room"}; },
             "guard_image", Severity::fail, "importing", "make room"},
        Case{"default_runtime", [](Health& h) { h.runtimes[0].problem = "exec failed"; }, "runtime", Severity::fail,
             "exec failed", "daemon.json"},
        Case{"other_runtime", [](Health& h) { h.runtimes.push_back({"kata", "it did not answer within 20 s", 20000}); },
             "runtime", Severity::warn, "kata", "runtime:"},
        Case{"no_sandbox", [](Health& h) { h.runtimes.pop_back(); }, "sandbox", Severity::warn, "its own kernel",
             "gVisor"},
        Case{"full_disk", [](Health& h) { h.engine_disk = 300'000'000; }, "disk", Severity::fail, "300 MB", "prune"},
        Case{"little_disk", [](Health& h) { h.state_disk = 3'000'000'000; }, "state_disk", Severity::warn, "3.0 GB",
             "prune"},
        Case{"read_only", [](Health& h) { h.state_error = Error{Code::internal, "read-only", "set XDG_STATE_HOME"}; },
             "state_disk", Severity::fail, "read-only", "XDG_STATE_HOME"},
        Case{"memory", [](Health& h) { h.memory = 1'000'000'000; }, "memory", Severity::warn, "1.0 GB", "resources"},
        Case{"no_npm", [](Health& h) { h.tools.npm = false; }, "image_tools", Severity::warn,
             "the images of claude and codex without npm", "apt-get install npm,"},
        Case{"no_tools", [](Health& h) { h.tools.npm = h.tools.mmdebstrap = false; }, "image_tools", Severity::warn,
             "mmdebstrap and npm", "mmdebstrap npm"},
        Case{"fedora", [](Health& h) { h.tools.debian = false; }, "image_tools", Severity::warn, "neither Debian",
             "image:"},
        Case{"no_git", [](Health& h) { h.tools.git = ""; }, "git", Severity::fail, "missing", "apt-get install git"},
        Case{"old_git", [](Health& h) { h.tools.git = "git version 2.20.1"; }, "git", Severity::warn, "2.20.1", "2.30"},
        Case{"broken_manifest",
             [](Health& h) {
               h.manifest_error = Error{Code::invalid, "b.yaml:3:5: unknown key 'egres'", "did you mean 'egress'?"};
             },
             "manifest", Severity::fail, "b.yaml:3:5", "egress"},
        Case{"no_manifest", [](Health& h) { h.policy_files.clear(); }, "manifest", Severity::warn, "built-in",
             "bottle init"},
        Case{"no_token", [](Health& h) { h.keys.claude_token = false; }, "token", Severity::warn, "Claude",
             "or export ANTHROPIC_API_KEY"},
        Case{"no_key", [](Health& h) { h.providers.push_back("codex"); }, "openai_key", Severity::warn, "Codex",
             "OPENAI_API_KEY"},
        Case{"unrecorded", [](Health& h) { h.unrecorded = {"volume bottle-x1-home"}; }, "unrecorded", Severity::warn,
             "bottle-x1-home", "bottle cleanup"},
        Case{"orphans", [](Health& h) { h.orphans = {"deadbeef"}; }, "leftovers", Severity::warn, "deadbeef",
             "bottle cleanup"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace bottle::app
