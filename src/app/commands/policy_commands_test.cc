// Tests the commands that change the policy of a session or of the manifest.
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "app/commands/command_test.h"
#include "app/world/policy_request.h"

namespace bottle::app {
namespace {

TEST_F(Commands, allow_checks_the_rule_before_it_asks_for_a_session) {
  expect_refused(bottle({"allow"}), "no host was given", "name a host");
  expect_refused(bottle({"allow", "a.example"}), "no session is running", "run `bottle start AGENT`");
  expect_refused(bottle({"allow", "--bottle", "web", "a.example"}), "--bottle without --save", "name a session");
  expect_refused(bottle({"allow", "--secret", "3543c50b0cb9", "--save"}), "--secret goes with a session only",
                 "to allow it in future sessions");
  expect_refused(bottle({"allow", "--bottle", "web", "--save", "https://a.example"}),
                 "'https://a.example' is not HOST or HOST:PORT", "write only the host");
  expect_refused(bottle({"allow", "a.example", "--methods", "G=T"}),
                 "bottle: the rule for 'a.example' is not valid: methods: expected an HTTP method",
                 "see `bottle help allow`");
  expect_refused(bottle({"allow", "--limit", "cost=much"}), "without a currency, or none",
                 "write a limit as in `bottle allow SESSION HOST --limit");
}

TEST_F(Commands, allow_saves_a_rule_and_keeps_the_comments) {
  write(".config/bottle/bottle.yaml", "# mine\nbottles:\n  web:\n    egress:\n      allow: [a.example]\n");
  Answer answer = bottle({"allow", "--bottle", "web", "--save", "--methods", "GET", "b.example"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_TRUE(answer.out.ends_with("under bottles.web.egress.allow\n")) << answer.out;
  std::string saved = read(".config/bottle/bottle.yaml");
  EXPECT_TRUE(saved.starts_with("# mine\n")) << saved;
  EXPECT_NE(saved.find("b.example"), std::string::npos) << saved;
  EXPECT_EQ(bottle({"check"}).status, 0);
}

// An operator may share the file with a group.
TEST_F(Commands, allow_keeps_the_mode_and_the_group_of_the_file) {
  std::string path = write(".config/bottle/bottle.yaml", "bottles:\n  web:\n    egress:\n      allow: [a.example]\n");
  gid_t group = ::geteuid() == 0 ? 4242 : ::getegid();
  ASSERT_EQ(::chown(path.c_str(), static_cast<uid_t>(-1), group), 0);
  for (mode_t mode : {0600, 0664, 0640, 0444}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    mode_t before = ::umask(077);
    Answer answer = bottle({"allow", "--bottle", "web", "--save", "h" + std::to_string(mode) + ".example"});
    ::umask(before);
    EXPECT_EQ(answer.status, 0) << answer.err;
    struct stat st{};
    ASSERT_EQ(::stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, mode);
    EXPECT_EQ(st.st_gid, group);
  }
}

TEST_F(Commands, allow_keeps_rules_that_are_saved_at_the_same_time) {
  write(".config/bottle/bottle.yaml", "bottles:\n  web:\n    egress:\n      allow: [a.example]\n");
  std::vector<std::jthread> threads;
  std::atomic<int> saved = 0;
  auto host = [](int i) { return "h" + std::to_string(i) + ".example"; };
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&, i] { saved += save_rule("web", {.host = host(i)}).has_value(); });
  threads.clear();
  EXPECT_EQ(saved, 16);
  std::string file = read(".config/bottle/bottle.yaml");
  for (int i = 0; i < 16; ++i) EXPECT_NE(file.find(host(i)), std::string::npos) << file;
}

TEST_F(Commands, allow_saves_limits_and_keeps_the_comments) {
  write(".config/bottle/bottle.yaml", "# mine\nbottles:\n  web:\n    egress:\n      allow: [a.example]  # the one\n");
  auto save = [&](const std::string& limits, const std::vector<std::string>& host) {
    std::vector<std::string> words = {"allow", "--bottle", "web", "--save", "--limit", limits};
    words.insert(words.end(), host.begin(), host.end());
    return bottle(words);
  };
  EXPECT_EQ(save("requests=200,bytes_up=10m", {"a.example"}).status, 0);
  Answer answer = save("names=20", {});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_TRUE(answer.out.ends_with("in the bottle web\n")) << answer.out;
  EXPECT_EQ(read(".config/bottle/bottle.yaml"),
            "# mine\nbottles:\n  web:\n    egress:\n      limit: {names: 20}\n"
            "      allow: [{host: a.example, limit: {bytes_up: 10m, requests: 200}}]  # the one\n");
  expect_refused(save("requests=none", {}), "--save cannot remove a limit from the manifest",
                 "remove the limit from the manifest with an editor");
  expect_refused(save("names=5000", {}), "names: the guard can count at most 4000 hosts", "choose a lower limit");
  expect_refused(save("requests=5", {"b.example"}), "has no rule of its own for b.example",
                 "write the rule into bottles.web.egress.allow yourself, with its limit");
  expect_refused(save("cost=5", {}), "nothing was changed: the bottle web has no prices", "add egress.prices");
  EXPECT_EQ(bottle({"check"}).status, 0);
}

// Rules of the same host share the lowest limit.
TEST_F(Commands, allow_saves_limits_beside_other_files_and_says_which_stay_lower) {
  write("claude-bottle.json", R"({"bottles": {"old": {}}, "agents": {}})");
  write(".config/bottle/bottle.yaml",
        "bottles:\n  base: {egress: {allow: [{host: a.example, methods: [GET], limit: {requests: 100}}]}}\n"
        "  web: {extends: [old, base], egress: {allow: [{host: a.example, methods: [GET]}]}}\n");
  Answer answer = bottle({"allow", "--bottle", "web", "--save", "--limit", "requests=500,bytes_up=10m", "a.example"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_NE(answer.err.find("has a lower limit of requests, and that one still"), std::string::npos) << answer.err;
  EXPECT_EQ(answer.err.find("bytes_up"), std::string::npos) << answer.err;
  answer = bottle({"allow", "--bottle", "web", "--save", "--limit", "requests=50", "a.example"});
  EXPECT_EQ(answer.err, "");
}

TEST_F(Commands, allow_saves_a_rule_once_and_with_its_port) {
  write(".config/bottle/bottle.yaml", "bottles:\n  web:\n    egress:\n      allow: [a.example]\n");
  for (const char* port : {"443", "80"}) {
    const std::string host = "b" + std::string(port) + ".example";
    EXPECT_EQ(bottle({"allow", "--bottle", "web", "--save", host + ":" + port}).status, 0);
    const std::string saved = read(".config/bottle/bottle.yaml");
    EXPECT_NE(saved.find("{host: " + host + ", ports: [" + port + "]}"), std::string::npos) << saved;
    Answer again = bottle({"allow", "--bottle", "web", "--save", host + ":" + port});
    EXPECT_EQ(again.status, 0) << again.err;
    EXPECT_TRUE(again.out.starts_with("the rule is already in ")) << again.out;
    EXPECT_EQ(read(".config/bottle/bottle.yaml"), saved);
  }
}

TEST_F(Commands, allow_saves_no_rule_that_cannot_work) {
  write(".config/bottle/bottle.yaml",
        "bottles:\n  web: {egress: {allow: [a.example], hosts: {5.6.7.8: 5.6.7.8}}}\nagents: {a: {bottle: web}}\n");
  expect_refused(bottle({"allow", "--bottle", "web", "--save", "1.2.3.4"}), "'1.2.3.4' is an address, not a name",
                 "use egress.hosts to give a name an address");
  EXPECT_EQ(bottle({"allow", "--bottle", "web", "--save", "5.6.7.8"}).status, 0);
  // No file defines this bottle.
  expect_refused(bottle({"allow", "--bottle", "default", "--save", "b.example"}), "none of your manifest files defines",
                 "define the bottle 'default' in your manifest, then save");
  std::filesystem::remove(home() + "/.config/bottle/bottle.yaml");
  expect_refused(bottle({"allow", "--bottle", "default", "--save", "b.example"}), "none of your manifest files defines",
                 "run `bottle init`, which writes a manifest with a bottle of your own, then save");
}

// The rule would keep the bottle from starting.
TEST_F(Commands, allow_saves_no_rule_for_a_service_of_the_lan) {
  write(".config/bottle/bottle.yaml",
        "bottles:\n  base: {egress: {lan: [{name: tracker.bottle, to: 192.168.1.20:80}]}}\n  web: {extends: [base]}\n");
  for (const char* bottle_name : {"base", "web"})
    expect_refused(bottle({"allow", "--bottle", bottle_name, "--save", "Tracker.bottle"}),
                   "nothing was changed: tracker.bottle is a service in egress.lan", "change its methods and paths");
}

TEST_F(Commands, allow_refuses_what_it_cannot_save_before_it_asks_the_session) {
  abandon("one");
  expect_refused(bottle({"allow", "one", "--limit", "requests=5,tokens=none", "--save"}),
                 "--save cannot remove a limit from the manifest, and nothing was changed",
                 "remove the limit from the manifest with an editor");
  for (const auto& what : std::vector<std::vector<std::string>>{{}, {"--limit", "requests=5"}})
    for (const std::string session : {"one", "two"}) {
      std::vector<std::string> words = {"allow", session, "a.example", "--bottle", "web", "--save"};
      words.insert(words.end(), what.begin(), what.end());
      expect_refused(bottle(words), "--bottle changes only the manifest, not the session " + session,
                     "leave out --bottle to change the session");
    }
}

TEST_F(Commands, allow_and_deny_need_a_living_supervisor) {
  abandon("one");
  for (const std::string command : {"allow", "deny", "stop", "attach"})
    expect_refused(command == "allow" || command == "deny" ? bottle({command, "one", "a.example"}) : bottle({command}),
                   "the supervisor of session one is dead", "run `bottle cleanup`");
}

TEST_F(Commands, deny_needs_a_host_and_a_running_session) {
  expect_refused(bottle({"deny"}), "no host was given", "name a host; see `bottle help deny`");
  expect_refused(bottle({"deny", "a.example"}), "no session is running", "run `bottle start AGENT`");
}

}  // namespace
}  // namespace bottle::app
