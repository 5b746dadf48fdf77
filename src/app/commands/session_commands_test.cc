// Tests the commands about sessions with bad input, without sessions, with an ended session, and with one whose owner
// is dead.
#include <chrono>
#include <filesystem>

#include "app/commands/command_test.h"
#include "app/complete.h"
#include "app/output/show.h"
#include "app/world/world.h"
#include "base/defer.h"
#include "base/files/file.h"
#include "wire/ledger.h"
#include "wire/result.h"

namespace bottle::app {
namespace {

constexpr const char* kManifest =
    "bottles:\n  web: {workspace: copy}\nagents:\n  make: {bottle: web, provider: command, command: [make, -j4]}\n";
constexpr const char* kPatch =
    "diff --git a/note b/note\nnew file mode 100644\n--- /dev/null\n+++ b/note\n@@ -0,0 +1 @@\n+tab\there\n";

TEST_F(Commands, start_needs_an_agent_of_the_manifest) {
  write(".config/bottle/bottle.yaml", kManifest);
  expect_refused(bottle({"start"}), "no agent was given", "run `bottle start AGENT`");
  expect_refused(bottle({"start", "mak"}), "there is no agent 'mak'", "did you mean 'make'?");
  write(".config/bottle/bottle.yaml", "bottle: {}\n");
  expect_refused(bottle({"start", "make"}), "bottle.yaml:1:1: unknown key 'bottle'", "did you mean 'bottles'?");
}

TEST_F(Commands, start_refuses_options_for_another_machine_on_this_one) {
  write(".config/bottle/bottle.yaml", kManifest);
  expect_refused(bottle({"start", "make", "--secrets", "tunnel"}), "--secrets tunnel needs --remote or --vm",
                 "add one of them");
  expect_refused(bottle({"start", "make", "--allow-vpn"}), "--allow-vpn needs", "add one of them");
  expect_refused(bottle({"start", "make", "--token-via", "sendenv"}), "--token-via needs", "add one of them");
  expect_refused(bottle({"start", "make", "--mosh-ports", "1:2"}), "--mosh-ports needs", "add --remote USER@HOST");
  expect_refused(bottle({"start", "make", "--prompt"}), "start: --prompt needs a value", "see `bottle help start`");
  expect_refused(bottle({"start", "make", "--ttl", "2h"}), "start: --ttl needs --vm",
                 "add --vm, or leave out --ttl; see `bottle help start`");
  expect_refused(bottle({"start", "make", "--vm", "a", "--remote", "b"}), "start: --remote and --vm cannot be combined",
                 "leave out one of them; see `bottle help start`");
  expect_refused(bottle({"start", "make", "--secrets", "foo"}),
                 "start: --secrets: 'foo' is not one of remote, tunnel\n", "see `bottle help start`");
  for (const char* way : {"remote", "there"})
    EXPECT_EQ(bottle({"start", "make", "--dry-run", "--secrets", way}).status, 0) << way;
  expect_refused(bottle({"start", "make", "--dry-run", "-C", "/none"}), "finding the workspace /none: No such file",
                 "name an existing directory with -C");
}

// The command that saves a rule cannot edit a bottle that no file defines.
TEST_F(Commands, start_ends_with_advice_for_the_built_in_bottle) {
  wire::SessionResult result{.session = "s", .bottle = "default"};
  result.egress = wire::EgressResult{{{"a.example:443", "not_allowed", 1, "a.example"}}};
  auto shown = [&] {
    ::testing::internal::CaptureStderr();
    show_result(result, {});
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(
      shown().find("To allow them, run `bottle init`, which writes a manifest with a bottle of your own, and add"),
      std::string::npos)
      << shown();
  write(".config/bottle/bottle.yaml", "agents: {make: {provider: shell}}\n");
  EXPECT_NE(shown().find("To allow them, define the bottle 'default' in your manifest, and add"), std::string::npos)
      << shown();
  write(".config/bottle/bottle.yaml", "bottles: {default: {}}\n");
  EXPECT_NE(shown().find("`bottle allow --bottle default --save HOST`"), std::string::npos) << shown();
  std::filesystem::remove(home() + "/.config/bottle/bottle.yaml");
  result.egress = wire::EgressResult{.recorded = {{"a.example"}}};
  EXPECT_NE(shown().find("needed more rules. To allow them, run `bottle init`, which writes a manifest"),
            std::string::npos)
      << shown();
  EXPECT_EQ(shown().find("bottles.default"), std::string::npos) << shown();
  write(".config/bottle/bottle.yaml", "bottles: {default: {}}\n");
  EXPECT_NE(shown().find("these rules in bottles.default.egress.allow:\n  - a.example\n"), std::string::npos)
      << shown();
}

// A script's unset variable must not mean "on this machine" or "the newest session".
TEST_F(Commands, start_and_others_refuse_an_empty_value) {
  const std::string tail = ": the value is empty";
  expect_refused(bottle({"start", "shell", "--dry-run", "--runtime", ""}), "--runtime" + tail,
                 "see `bottle help start`");
  expect_refused(bottle({"start", "shell", "--dry-run", "--remote", ""}), "--remote" + tail, "see `bottle help start`");
  expect_refused(bottle({"start", "shell", "--dry-run", "--vm", ""}), "--vm" + tail, "see `bottle help start`");
  expect_refused(bottle({"start", "", "--dry-run"}), "agent" + tail, "see `bottle help start`");
  expect_refused(bottle({"logs", ""}), "session" + tail, "see `bottle help logs`");
}

TEST_F(Commands, start_shows_what_it_would_make) {
  write(".config/bottle/bottle.yaml", kManifest);
  Answer people = bottle({"start", "make", "--dry-run"});
  EXPECT_EQ(people.status, 0) << people.err;
  EXPECT_NE(people.out.find("command     make -j4\n"), std::string::npos) << people.out;
  Answer program = bottle({"start", "make", "--dry-run", "--json"});
  EXPECT_EQ(program.json()["command"], (std::vector<std::string>{"make", "-j4"}));
  EXPECT_EQ(program.json()["bottle"], "web");
  EXPECT_FALSE(std::filesystem::exists(home() + "/.local/state/bottle/sessions")) << "a dry run creates nothing";
}

// An active Python environment is in PATH. Refusing the project would lead to --yes-really, which allows everything.
TEST_F(Commands, start_runs_nothing_of_a_bound_workspace) {
  write(".config/bottle/bottle.yaml", kManifest);
  const std::string work = std::filesystem::canonical(home()).string() + "/work", before = environment()["PATH"];
  Defer back([&] { set("PATH", before); });
  std::string active = work + "/.venv/bin:";
  active += before;
  for (const char* mode : {"copy", "bind"}) {
    bool bind = mode == std::string("bind");
    set("PATH", active);
    Answer answer = bottle({"start", "make", "--dry-run", "--workspace", mode});
    EXPECT_EQ(answer.status, 0) << answer.err;
    EXPECT_EQ(answer.out.contains("agent can write to them: " + work + "/.venv/bin\n"), bind) << answer.out;
    EXPECT_EQ(environment()["PATH"], bind ? before : active);
  }
  // A program in PATH that is a link into the workspace is still refused.
  write("work/ssh", "");
  write("bin/tool", "");
  std::filesystem::create_symlink(work + "/ssh", home() + "/bin/ssh");
  active = home() + "/bin:";
  active += before;
  set("PATH", active);
  expect_refused(bottle({"start", "make", "--dry-run", "--workspace", "bind"}),
                 "the agent could change " + work + "/ssh, which bottle trusts", "start in a project's directory");
}

TEST_F(Commands, start_warns_of_a_rule_that_does_not_exist) {
  write(
      ".config/bottle/bottle.yaml",
      "bottles: {web: {egress: {on_secret_for: {jtw: block, jwt: warn, mine: warn}}, secrets: {mine: {from: env:HOME, "
      "hosts: [a.example]}}}}\nagents: {make: {bottle: web, provider: command, command: [make]}}\n");
  std::string shown = bottle({"start", "make", "--dry-run"}).out;
  EXPECT_NE(shown.find("'jtw' is neither a rule nor a secret of this bottle; did you mean 'jwt'?"), std::string::npos)
      << shown;
  EXPECT_EQ(shown.find("'jwt' is neither"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("'mine' is neither"), std::string::npos) << shown;
}

TEST_F(Commands, start_without_an_engine_leaves_no_session) {
  write(".config/bottle/bottle.yaml", kManifest);
  Answer answer = bottle({"start", "make", "--json"});
  EXPECT_EQ(answer.status, 125);
  EXPECT_EQ(answer.error()["code"], "unavailable");
  EXPECT_EQ(bottle({"list", "--json"}).json(), nlohmann::json::array());
}

TEST_F(Commands, attach_needs_a_running_session) {
  expect_refused(bottle({"attach"}), "no session is running", "run `bottle start AGENT`");
  abandon("one");
  expect_refused(bottle({"attach", "onne"}), "there is no session 'onne'", "did you mean 'one'?");
  expect_refused(bottle({"attach", "A b"}), "'A b' is not a session's name", "a session's name consists of");
  expect_refused(bottle({"attach", std::string(41, 'a')}), "is not a session's name",
                 "a session's name consists of at most 40");
  finish("ended");
  expect_refused(bottle({"attach", "ended"}), "session ended has ended", "`bottle logs ended` shows how");
  abandon("two");
  expect_refused(bottle({"attach"}), "no session is running, but there is something left of sessions that ended",
                 "`bottle list` shows their states; name one of: one, two");
}

// Nothing listens on its socket, which the error says; the session that is meant is found all the same.
TEST_F(Commands, attach_and_others_choose_the_only_session_that_runs) {
  for (const char* session : {"dead", "refused", "zombie"}) abandon(session);
  std::filesystem::permissions(home() + "/.local/state/bottle/sessions/refused/ledger", std::filesystem::perms(0666));
  begin("one");
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"attach"}, {"stop"}, {"allow", "a.example"}, {"egress", "metrics"}, {"allow", "--limit", "requests=5"}})
    expect_refused(bottle(words), "session one is starting or ending", "`bottle list` shows its state");
  begin("two");
  expect_refused(bottle({"stop"}), "more than one session is running", "name one of: one, two");
}

TEST_F(Commands, stop_needs_a_running_session) {
  expect_refused(bottle({"stop"}), "no session is running", "run `bottle start AGENT`");
  expect_refused(bottle({"stop", "one"}), "there is no session 'one'", "there are no sessions");
  Answer both = bottle({"stop", "--all", "one"});
  EXPECT_EQ(both.status, 125);
  EXPECT_NE(both.err.find("see `bottle help stop`"), std::string::npos) << both.err;
}

TEST_F(Commands, stop_all_leaves_to_cleanup_what_has_no_agent_any_more) {
  std::string sessions = ".local/state/bottle/sessions/", results = home() + "/.local/state/bottle/results/two";
  for (const char* session : {"one", "two", "three"}) abandon(session);
  write(sessions + "two/ledger", read(sessions + "two/ledger") +
                                     "{\"work\":{\"source\":\"/work\",\"workdir\":\"/workspace\"," +
                                     "\"base\":\"\",\"results\":\"" + results + "\"}}\n");
  std::filesystem::permissions(home() + "/" + sessions + "three/ledger", std::filesystem::perms(0666));
  auto listed = bottle({"list", "--json"}).json();
  ASSERT_EQ(listed.size(), 3u);
  std::string states;
  for (const auto& each : listed) states += each["state"].get<std::string>() + " ";
  ASSERT_EQ(states, "dead refused held ");
  Answer answer = bottle({"stop", "--all"});
  EXPECT_EQ(answer.status, 0);
  EXPECT_EQ(answer.out + answer.err, "");
}

TEST_F(Commands, list_without_sessions_says_so_or_prints_an_empty_array) {
  EXPECT_EQ(bottle({"list"}).out, "no sessions; `bottle list --all` shows ended ones\n");
  EXPECT_EQ(bottle({"list", "--all"}).out, "no sessions\n");
  EXPECT_EQ(bottle({"list", "--json"}).out, "[]\n");
  EXPECT_EQ(bottle({"list", "--all", "--json"}).out, "[]\n");
}

TEST_F(Commands, list_all_shows_sessions_that_have_ended_with_the_newest_first) {
  std::string results = ".local/state/bottle/results/";
  finish("one", kPatch);
  write(results + "one/result.json",
        wire::encode(wire::SessionResult{.session = "one", .bottle = "web", .exit = 3, .receipt = {}}));
  std::filesystem::last_write_time(home() + "/" + results + "one",
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  finish("two");
  write(results + "two/result.json", "{");
  finish("three");
  begin("three");
  auto listed = bottle({"list", "--all", "--json"}).json();
  ASSERT_EQ(listed.size(), 3u) << listed;
  EXPECT_EQ(listed[0]["session"], "three");
  EXPECT_EQ(listed[0]["state"], "starting");
  EXPECT_EQ(listed[1]["session"], "two");
  EXPECT_FALSE(listed[1].contains("exit"));
  EXPECT_GT(listed[2]["ended"], 0);
  listed[2].erase("ended");
  EXPECT_EQ(listed[2], nlohmann::json({{"session", "one"},
                                       {"state", "ended"},
                                       {"exit", 3},
                                       {"bottle", "web"},
                                       {"machine", "local"},
                                       {"workspace", home() + "/work"}}));
  std::string people = bottle({"list", "--all"}).out;
  EXPECT_NE(people.find("\none      ended     2 h  -      local    " + home() + "/work\n"), people.npos) << people;
  EXPECT_EQ(bottle({"list", "--json"}).json().size(), 1u);
  EXPECT_EQ(bottle({"list", "--all", "--agents"}).status, 125);
}

TEST_F(Commands, list_shows_a_session_whose_owner_is_dead) {
  abandon("one");
  EXPECT_NE(bottle({"list"}).out.find("\none      dead   -"), std::string::npos);
  EXPECT_EQ(bottle({"list", "--json"}).json(), nlohmann::json::parse(R"([{"session": "one", "state": "dead"}])"));
}

// No supervisor can be started for this session. Its agent may still work on the machine.
TEST_F(Commands, cleanup_does_not_take_a_session_for_gone_whose_record_stays) {
  abandon("one");
  std::string ledger = ".local/state/bottle/sessions/one/ledger";
  wire::LedgerRecord remote{
      .running = true,
      .machine = wire::MachineAddress{.target = {.user = "bottle", .host = "192.0.2.7"}, .program = "p"}};
  std::string before = read(ledger) + wire::encode(remote) + "\n";
  write(ledger, before);
  Answer answer = bottle({"cleanup", "--json"});
  EXPECT_EQ(answer.status, 125);
  auto all = answer.json();
  auto of_session = std::ranges::find_if(all, [](const auto& entry) { return entry.dump().contains("session one"); });
  ASSERT_NE(of_session, all.end()) << answer.out;
  EXPECT_FALSE((*of_session)["confirmed"].template get<bool>()) << answer.out;
  EXPECT_EQ((*of_session)["left"][0],
            "session one: the supervisor of session one is dead (run `bottle attach one`, which starts another one)");
  EXPECT_EQ(read(ledger), before);
}

// A session that ends removes its ledger last.
TEST_F(Commands, list_leaves_out_a_session_that_has_just_ended) {
  std::filesystem::create_directories(home() + "/.local/state/bottle/sessions/one");
  EXPECT_EQ(bottle({"list", "--json"}).out, "[]\n");
}

// A session that was killed between removing its ledger and removing its directory has ended.
TEST_F(Commands, list_and_others_take_a_session_without_a_ledger_as_ended) {
  std::filesystem::create_directories(home() + "/.local/state/bottle/sessions/one");
  finish("one", kPatch);
  auto listed = bottle({"list", "--all", "--json"}).json();
  ASSERT_EQ(listed.size(), 1u) << listed;
  EXPECT_EQ(listed[0]["state"], "ended");
  EXPECT_EQ(bottle({"diff", "one"}).status, 0);
  EXPECT_EQ(bottle({"diff"}).status, 0);
  expect_refused(bottle({"stop", "one"}), "session one has ended", "`bottle logs one` shows how");
  write(".config/bottle/bottle.yaml", kManifest);
  expect_refused(bottle({"start", "make", "--name", "one", "--dry-run"}), "its results are in",
                 "choose another name, or run `bottle discard one`");
}

// A directory that cannot be read is not an empty list. A file in its place is such a directory for everyone, even for
// root.
TEST_F(Commands, list_and_others_say_that_a_directory_cannot_be_read) {
  auto expect = [&](const std::vector<std::string>& words, const std::string& place) {
    expect_refused(bottle(words), "reading " + home() + "/" + place + ": Not a directory", "");
  };
  write(".config/bottle/bottle.yaml", kManifest);
  write(".local/state/bottle/sessions", "");
  for (const char* command : {"list", "stop", "attach", "cleanup"}) expect({command}, ".local/state/bottle/sessions");
  expect({"stop", "--all"}, ".local/state/bottle/sessions");
  write(".local/state/bottle/results", "");
  expect({"logs"}, ".local/state/bottle/results");
  write(".config/bottle/agents", "");
  EXPECT_NE(bottle({"check"}).err.find(".config/bottle/agents: Not a directory"), std::string::npos);
  expect({"start", "make", "--dry-run"}, ".config/bottle/agents");
  write(".config/bottle/providers", "");
  expect({"provider", "list"}, ".config/bottle/providers");
}

TEST_F(Commands, list_shows_agents_and_their_bottles) {
  write(".config/bottle/bottle.yaml", kManifest);
  EXPECT_EQ(bottle({"list", "--agents", "--json"}).json(),
            nlohmann::json::parse(R"([{"agent": "make", "bottle": "web", "provider": "command", "description": "",
                                       "from_repository": false}])"));
  EXPECT_NE(bottle({"list", "--agents"}).out.find("\nmake   web     command   -\n"), std::string::npos);
  // A repository may bring agents, and its words cannot look like lines of bottle.
  write("work/.bottle/agents/x.md", "---\nbottle: web\ndescription: \"red \\e[31m\"\n---\nhi\n");
  EXPECT_EQ(bottle({"list", "--agents"}).out.find('\x1b'), std::string::npos);
  EXPECT_EQ(bottle({"list", "--agents", "--json"}).json().size(), 2u);
  EXPECT_NE(bottle({"list", "--agents"}).out.find("from this repository: red"), std::string::npos);
}

TEST_F(Commands, logs_needs_a_session_that_left_results) {
  expect_refused(bottle({"logs"}), "no session has ended yet", "`bottle list`");
  EXPECT_EQ(bottle({"logs", "--json", "none"}).error()["code"], "not_found");
  expect_refused(bottle({"logs", "--denied"}), "--denied and --follow need --egress", "add --egress");
  expect_refused(bottle({"logs", "none"}), "there are no results of session none", "no session has ended yet");
  abandon("two");
  expect_refused(bottle({"logs", "two"}), "session two has no results yet", "`bottle list` shows its state");
  finish("one");
  expect_refused(bottle({"logs", "on"}), "there are no results of session on", "did you mean 'one'?");
  expect_refused(bottle({"logs", "one"}), "session one left no result", "`bottle logs --egress one`");
  expect_refused(bottle({"logs", "--egress", "one"}), "session one has no record of decisions", "its guard never ran");
}

TEST_F(Commands, logs_shows_the_result_unchanged) {
  finish("one");
  wire::SessionResult result{.session = "one", .bottle = "web", .exit = 3};
  std::string text = wire::encode(result);
  write(".local/state/bottle/results/one/result.json", text);
  EXPECT_EQ(bottle({"logs"}).out, text);
}

TEST_F(Commands, logs_shows_the_session_that_ended_last) {
  finish("one");
  std::string text = wire::encode(wire::SessionResult{.session = "one"});
  write(".local/state/bottle/results/one/result.json", text);
  finish("two");
  begin("two");
  std::filesystem::last_write_time(home() + "/.local/state/bottle/results/one",
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_EQ(bottle({"logs"}).out, text);
  begin("one");
  expect_refused(bottle({"logs"}), "no session has ended yet", "`bottle list` shows the running sessions");
  write(".local/state/bottle/results/two/egress.jsonl", "{}\n");
  EXPECT_EQ(bottle({"logs", "--egress"}).out, "{}\n") << "its record grows";
}

TEST_F(Commands, logs_merges_the_decisions_of_both_sides_by_time) {
  finish("one");
  auto line = [](const char* second, const char* action, const char* host) {
    return std::string(R"({"time":"2026-01-01T00:00:0)") + second + R"(.000Z","action":")" + action +
           R"(","kind":"http","host":")" + host + R"(","code":"x"})" + "\n";
  };
  std::string first = line("1", "allow", "a.example"), second = line("2", "deny", "b.example"),
              third = line("3", "allow", "c.example");
  write(".local/state/bottle/results/one/egress.jsonl", first + third);
  write(".local/state/bottle/results/one/egress-near.jsonl", second);
  EXPECT_EQ(bottle({"logs", "--egress"}).out, first + second + third);
  EXPECT_EQ(bottle({"logs", "--egress", "--denied", "one"}).out, second);
}

TEST_F(Commands, diff_shows_the_patch_with_tabs_as_spaces) {
  expect_refused(bottle({"diff", "one"}), "there are no results of session one", "no session has ended yet");
  finish("none");
  Answer nothing = bottle({"diff", "none"});
  EXPECT_EQ(nothing.status, 125);
  EXPECT_NE(nothing.err.find("session none has no patch; what it left is on refs"), std::string::npos) << nothing.err;
  write(".local/state/bottle/results/none/places.json", R"({"places":[]})");
  expect_refused(bottle({"diff", "none"}), "session none changed no files", "`bottle logs none` shows what came back");
  write(".local/state/bottle/results/none/places.json", R"({"places":[{"directory":"/a b"}]})");
  expect_refused(bottle({"diff", "none"}),
                 "session none has no patch; what it left is on refs, or only in what `bottle logs none` shows",
                 "`git -C '/a b' for-each-ref refs/bottle/none` lists them");
  write(".local/state/bottle/results/none/places.json", "{\"places\":[{");
  for (const char* command : {"diff", "apply"})
    expect_refused(bottle({command, "none"}), "reading which repositories the session changed from",
                   "the results are in");
  finish("one", kPatch);
  Answer answer = bottle({"diff", "one"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_NE(answer.out.find("+tab        here"), std::string::npos) << answer.out;
}

TEST_F(Commands, diff_and_others_take_the_only_session_of_this_directory) {
  std::string results = ".local/state/bottle/results/";
  for (const char* command : {"diff", "apply", "discard"})
    expect_refused(bottle({command}), "no session that has ended changed anything in " + home() + "/work",
                   "name a SESSION; `bottle list --all` shows them");
  finish("other", kPatch);
  write(results + "other/places.json", R"({"places":[{"directory":"/elsewhere"},{"directory":"/workbench"}]})");
  finish("running", kPatch);
  begin("running");
  finish("below", kPatch);
  write(results + "below/places.json", R"({"places":[{"directory":")" + home() + R"(/work/a","patch":")" + home() +
                                           "/" + results + R"(below/work.patch"}]})");
  Answer answer = bottle({"diff"});
  EXPECT_EQ(answer.status, 0);
  EXPECT_EQ(answer.err, "session below\n");
  EXPECT_NE(answer.out.find("+tab"), answer.out.npos);
  finish("one", kPatch);
  std::filesystem::last_write_time(home() + "/" + results + "below",
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  for (const char* command : {"diff", "apply", "discard"})
    expect_refused(bottle({command}), "several sessions changed something in " + home() + "/work",
                   "name one of: one, below (the first is the newest)");
  EXPECT_EQ(bottle({"discard", "--yes", "one"}).status, 0);
  // What it changed is not known, so it may be the one that is meant.
  write(results + "broken/places.json", "{");
  EXPECT_NE(bottle({"discard", "--yes"}).err.find("broken"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(home() + "/" + results + "below"));
  std::filesystem::remove_all(home() + "/" + results + "broken");
  EXPECT_EQ(bottle({"discard", "--yes"}).status, 0);
  EXPECT_FALSE(std::filesystem::exists(home() + "/" + results + "below"));
  EXPECT_TRUE(std::filesystem::exists(home() + "/" + results + "other"));
}

TEST_F(Commands, diff_says_what_to_do_with_a_huge_patch) {
  finish("one", kPatch);
  std::string patch = home() + "/.local/state/bottle/results/one/work.patch";
  std::filesystem::resize_file(patch, 65 << 20);
  expect_refused(bottle({"diff", "one"}), "is larger than 64 MB",
                 "for the changed files, run: git apply --stat " + patch);
}

TEST_F(Commands, diff_and_others_complete_sessions_that_left_results) {
  finish("one");
  abandon("two");
  finish("two");  // what its checkpoints brought home
  auto offered = [](const std::string& command) {
    std::string all;
    for (const auto& candidate : names_here("bottle " + command, "SESSION")) all += candidate.value + " ";
    return all;
  };
  for (const char* command : {"diff", "apply", "discard"}) EXPECT_EQ(offered(command), "one ") << command;
  for (const char* command : {"logs", "audit verify"}) EXPECT_EQ(offered(command), "one two ") << command;
  for (const char* command : {"attach", "stop", "allow", "deny"}) EXPECT_EQ(offered(command), "two ") << command;
  EXPECT_EQ(names_here("bottle stop", "SESSION")[0].about, "dead");
}

TEST_F(Commands, diff_waits_for_the_end_of_a_session) {
  begin("one");
  expect_refused(bottle({"diff", "one"}), "the session one has not ended", "run `bottle stop one` first");
  abandon("one");
  expect_refused(bottle({"diff", "one"}), "the session one has not ended",
                 "its supervisor is dead; run `bottle cleanup`");
}

TEST_F(Commands, apply_changes_the_directory_or_nothing) {
  expect_refused(bottle({"apply", "one"}), "there are no results of session one", "no session has ended yet");
  finish("one", kPatch);
  Answer answer = bottle({"apply", "one"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_EQ(answer.out, "applied to " + home() + "/work\n");
  EXPECT_EQ(read("work/note"), "tab\there\n");
  expect_refused(bottle({"apply", "one"}), "does not apply to " + home() + "/work: its changes are already there",
                 "nothing was changed");
  write("work/note", "mine\n");
  expect_refused(bottle({"apply", "one"}), "does not apply to " + home() + "/work: error: note: already exists",
                 "nothing was changed");
}

TEST_F(Commands, discard_asks_before_it_removes) {
  finish("one", kPatch);
  expect_refused(bottle({"discard", "one"}), "there is no terminal to ask on", "run bottle in a terminal, use --yes");
  EXPECT_TRUE(std::filesystem::exists(home() + "/.local/state/bottle/results/one"));
  Answer answer = bottle({"discard", "--yes", "one"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_FALSE(std::filesystem::exists(home() + "/.local/state/bottle/results/one"));
  expect_refused(bottle({"discard", "--yes", "one"}), "there are no results of session one", "no session has ended");
}

TEST_F(Commands, cleanup_fails_without_an_engine) {
  abandon("one");
  Answer answer = bottle({"cleanup", "--dry-run", "--json"});
  EXPECT_EQ(answer.status, 125);
  EXPECT_NE(answer.json().dump().find(home() + "/no-engine.sock"), std::string::npos);
  EXPECT_EQ(bottle({"list", "--json"}).json().size(), 1u) << "the record stays";
}

}  // namespace
}  // namespace bottle::app
