// Tests the commands about the policy, the machines and the program itself.
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <regex>

#include "app/commands/command_test.h"
#include "app/commands/commands.h"
#include "app/complete.h"
#include "app/world/own_rules.h"
#include "app/world/world.h"
#include "base/files/file.h"

namespace bottle::app {
namespace {

// Expects that the command failed, and that its message holds both texts.
void expect_failed(const Answer& answer, const std::string& what, const std::string& todo = "") {
  EXPECT_EQ(answer.status, 125) << answer.out;
  EXPECT_NE(answer.err.find(what), std::string::npos) << answer.err;
  EXPECT_NE(answer.err.find(todo), std::string::npos) << answer.err;
}

void expect_no_engine(const Answer& answer) {
  expect_failed(answer, "no-engine.sock: No such file or directory (from DOCKER_HOST)", "install and start Docker");
  EXPECT_EQ(answer.out, "");
}

TEST_F(Commands, start_needs_no_other_agent_of_the_repository_than_the_one_it_starts) {
  write(".config/bottle/bottle.yaml",
        "bottles: {web: {}}\nagents: {make: {bottle: web, provider: command, command: [make]}}\n");
  auto expect_refused = [&](const std::string& agent, const std::string& what) {
    Answer refused = bottle({"start", agent, "--dry-run"});
    EXPECT_NE(refused.status, 0) << agent;
    EXPECT_NE(refused.err.find(what), std::string::npos) << refused.err;
  };
  write("work/.bottle/agents/good.md", "---\nbottle: web\nprovider: command\ncommand: [x]\n---\n");
  write("work/.bottle/agents/bad.md", "---\nbotle: web\n---\n");
  std::filesystem::create_symlink("/etc/passwd", home() + "/work/.bottle/agents/link.md");
  for (const char* name : {"make", "good"}) {
    Answer planned = bottle({"start", name, "--dry-run"});
    EXPECT_EQ(planned.status, 0) << planned.err;
    for (const char* other : {"bad", "link"})
      EXPECT_NE(planned.out.find(std::string("agent '") + other + "' of this repository cannot be used: "),
                std::string::npos)
          << planned.out;
  }
  expect_refused("bad", "bad.md:2:1: unknown key 'botle'");
  expect_refused("link", "link.md");
  Answer listed = bottle({"list", "--agents", "--json"});
  EXPECT_EQ(listed.status, 0);
  EXPECT_EQ(listed.err, "");
  auto agents = listed.json();
  ASSERT_EQ(agents.size(), 4u) << agents;
  auto bad = std::ranges::find(agents, "bad", [](const auto& each) { return each["agent"]; });
  ASSERT_NE(bad, agents.end()) << agents;
  EXPECT_EQ((*bad)["from_repository"], true);
  EXPECT_TRUE((*bad)["error"]["what"].get<std::string>().contains("unknown key 'botle'")) << agents;
  EXPECT_TRUE((*bad)["error"].contains("code") && (*bad)["error"].contains("todo")) << agents;
  EXPECT_NE(bottle({"list", "--agents"}).err.find("unknown key 'botle'"), std::string::npos);
  EXPECT_NE(bottle({"check"}).err.find("unknown key 'botle'"), std::string::npos);
  // A start works even if a file is in the place of the directory.
  std::filesystem::remove_all(home() + "/work/.bottle");
  write("work/.bottle", "");
  EXPECT_EQ(bottle({"start", "make", "--dry-run"}).status, 0);
  std::filesystem::remove(home() + "/work/.bottle");
  for (int i = 0; i < 300; ++i) write("work/.bottle/agents/a" + std::to_string(i) + ".md", "---\nbottle: web\n---\n");
  EXPECT_EQ(bottle({"start", "make", "--dry-run"}).status, 0);
  expect_refused("a7", "holds more than 200 agents");
}

TEST_F(Commands, check_counts_what_the_manifest_defines) {
  write(".config/bottle/bottle.yaml", "bottles: {web: {}}\nagents: {make: {bottle: web, provider: shell}}\n");
  Answer people = bottle({"check"});
  EXPECT_EQ(people.status, 0) << people.err;
  EXPECT_EQ(people.out, "ok: 1 agent, 1 bottle and the built-in default\n");
  auto found = bottle({"check", "--json"}).json();
  EXPECT_EQ(found["ok"], true);
  EXPECT_EQ(found["errors"], nlohmann::json::array());
  EXPECT_EQ(found["agents"], (std::vector<std::string>{"make"}));
}

// Otherwise the built-in policy would apply, which may allow more than the operator's.
TEST_F(Commands, check_does_not_take_a_manifest_that_cannot_be_reached_for_none) {
  namespace fs = std::filesystem;
  std::string config = home() + "/.config";
  auto expect_problem = [&](const std::string& what, const std::string& todo) {
    Answer answer = bottle({"check"});
    EXPECT_EQ(answer.status, 1) << answer.out;
    EXPECT_NE((answer.out + answer.err).find(what), std::string::npos) << answer.out << answer.err;
    EXPECT_NE((answer.out + answer.err).find(todo), std::string::npos) << answer.out << answer.err;
  };
  EXPECT_EQ(bottle({"check"}).status, 0);
  fs::create_directories(config + "/bottle");
  for (const char* name : {"bottle.yaml", "bottle.json"}) {
    std::string path = config + "/bottle/" + name;
    fs::create_symlink(home() + "/dotfiles/absent", path);
    expect_problem("reading " + path + ": No such file or directory", "");
    fs::remove(path);
    fs::create_symlink(path, path);
    expect_problem("reading " + path + ": Too many levels of symbolic links", "");
    fs::remove(path);
  }
  fs::create_symlink("absent", config + "/bottle/bottle.yml");
  expect_problem("bottle.yml is not read", "rename it");
  fs::remove_all(config);
  // The whole directory is on a disk that is not mounted.
  fs::create_symlink("/nonexistent/config", config);
  expect_problem("the link " + config + " leads nowhere", "restore what it leads to");
  fs::remove(config);
  EXPECT_EQ(bottle({"check"}).status, 0);
  // A file in the place of the directory means that there is none.
  write(".config", "");
  auto files = policy_files();
  ASSERT_TRUE(files) << files.error().what;
  EXPECT_TRUE(files->empty());
}

TEST_F(Commands, check_names_the_place_of_a_mistake) {
  std::string path = write("work/mine.yaml", "bottles:\n  web: {egres: {}}\n");
  Answer people = bottle({"check", path});
  EXPECT_EQ(people.status, 1);
  EXPECT_NE(people.err.find("mine.yaml:2:9: unknown key 'egres'"), std::string::npos) << people.err;
  auto found = bottle({"check", "--json", path}).json();
  EXPECT_EQ(found["ok"], false);
  EXPECT_EQ(found["errors"][0]["line"], 2);
  EXPECT_EQ(found["errors"][0]["column"], 9);
  EXPECT_EQ(found["errors"][0]["todo"], "did you mean 'egress'?");
}

TEST_F(Commands, check_reports_every_mistake) {
  std::string path = write("work/mine.yaml", "bottles:\n  web: {egres: {}, workspace: clon}\n  api: {image: [x]}\n");
  Answer people = bottle({"check", path});
  EXPECT_EQ(people.status, 1);
  for (const char* place : {"mine.yaml:2:9: ", "mine.yaml:2:31: ", "mine.yaml:3:16: "})
    EXPECT_NE(people.err.find(place), std::string::npos) << people.err;
  EXPECT_EQ(people.out, "");
  auto found = bottle({"check", "--json", path}).json();
  ASSERT_EQ(found["errors"].size(), 3u) << found;
  EXPECT_EQ(found["errors"][2]["line"], 3);
}

TEST_F(Commands, check_warns_of_a_provider_that_does_not_exist) {
  std::string path = write("work/mine.yaml", "bottles: {w: {}}\nvms: {lab: {provider: qemux}, ok: {provider: qemu}}\n");
  Answer people = bottle({"check", path});
  EXPECT_EQ(people.status, 0) << people.err;
  EXPECT_EQ(people.err,
            "bottle: VM lab cannot be created now: there is no provider 'qemux'\n        did you mean 'qemu'?\n");
  auto found = bottle({"check", "--json", path}).json();
  ASSERT_EQ(found["warnings"].size(), 1u) << found;
  EXPECT_EQ(found["warnings"][0]["vm"], "lab");
  write(".config/bottle/bottle.yaml", "bottles: {w: {}}\nvms: {lab: {provider: qemux}}\n");
  Answer create = bottle({"vm", "create", "lab"});
  EXPECT_EQ(create.status, 125);
  EXPECT_TRUE(create.err.starts_with("bottle: there is no provider 'qemux'\n")) << create.err;
}

// Another user's text would become the agent's prompt or skill.
TEST_F(Commands, check_and_a_start_refuse_agents_and_skills_that_everyone_can_write_to) {
  namespace fs = std::filesystem;
  write(".config/bottle/bottle.yaml", "bottles: {web: {workspace: copy}}\n");
  std::string agent = write(".config/bottle/agents/rev.md", "---\nbottle: web\nprovider: shell\nskills: sk\n---\nx\n");
  std::string skill = write(".claude/skills/sk/SKILL.md", "x");
  EXPECT_EQ(bottle({"start", "rev", "--dry-run"}).status, 0);
  for (const std::string& open : {agent, skill}) {
    fs::permissions(open, fs::perms::others_write, fs::perm_options::add);
    expect_refused(bottle({"start", "rev", "--dry-run"}), open + " is writable by everyone", "");
    EXPECT_NE(bottle({"check"}).err.find(open + " is writable by everyone"), std::string::npos);
    fs::permissions(open, fs::perms::others_write, fs::perm_options::remove);
  }
}

// The guard refuses it, and would do so only after its container is made.
TEST_F(Commands, check_and_a_start_find_what_the_guard_would_refuse) {
  write(".config/bottle/bottle.yaml",
        "bottles: {web: {workspace: copy, ssh: [{host: h, hostname: h.example, host_key: \"ssh-ed25519 AAAAAAAA\"}], "
        "egress: {allow: [1.2.3.4]}}}\nagents: {make: {bottle: web, provider: shell}}\n");
  expect_refused(bottle({"start", "make", "--dry-run"}), "the guard would refuse the policy: the host key of ssh host",
                 "");
  EXPECT_NE(bottle({"check"}).err.find("agent make cannot start now: the guard would refuse"), std::string::npos);
  write(".config/bottle/bottle.yaml",
        "bottles: {web: {workspace: copy, egress: {allow: [1.2.3.4, 5.6.7.8], hosts: {5.6.7.8: 5.6.7.8}}}}\n"
        "agents: {make: {bottle: web, provider: shell}}\n");
  Answer planned = bottle({"start", "make", "--dry-run"});
  EXPECT_EQ(planned.status, 0) << planned.err;
  EXPECT_NE((planned.out + planned.err).find("the guard refuses 1.2.3.4"), std::string::npos) << planned.out;
  EXPECT_EQ((planned.out + planned.err).find("the guard refuses 5.6.7.8"), std::string::npos) << planned.out;
}

TEST_F(Commands, check_takes_the_operators_own_agents_file_as_such) {
  const std::string text = "---\nprovider: shell\n---\nx\n";
  Answer own = bottle({"check", write(".config/bottle/agents/shell.md", text)});
  EXPECT_EQ(own.status, 0) << own.err;
  std::filesystem::remove_all(home() + "/.config/bottle/agents");
  Answer other = bottle({"check", write("work/.bottle/agents/shell.md", text)});
  EXPECT_EQ(other.status, 1) << "a repository's";
}

TEST_F(Commands, check_reports_a_missing_file) {
  Answer answer = bottle({"check", "none.yaml"});
  EXPECT_EQ(answer.status, 1);
  EXPECT_NE(answer.err.find("the file to check: reading none.yaml: No such file or directory"), std::string::npos)
      << answer.err;
}

TEST_F(Commands, schema_is_a_json_schema) {
  auto schema = bottle({"schema"}).json();
  EXPECT_EQ(schema["title"], "bottle.yaml");
  EXPECT_TRUE(schema["properties"].contains("bottles"));
}

TEST_F(Commands, json_also_has_the_mistakes_in_the_words) {
  Answer answer = bottle({"egress", "test", "--json"});
  EXPECT_EQ(answer.status, 125);
  EXPECT_EQ(answer.error()["what"], "egress test: no URL was given");
  EXPECT_EQ(bottle({"scan", "--json", "--no-such"}).error()["code"], "invalid");
  Answer plain = bottle({"start", "x", "--no-such", "--", "--json"});
  EXPECT_TRUE(plain.err.starts_with("bottle: ")) << plain.err;
}

TEST_F(Commands, scan_reports_known_values_and_missing_files) {
  expect_failed(bottle({"scan"}), "no FILE was given", "see `bottle help scan`");
  expect_failed(bottle({"scan", "none"}), "the file to scan: reading none: No such file or directory");
  expect_failed(bottle({"scan", "."}), "reading .: Is a directory", "name the files in it");
  expect_failed(bottle({"scan", "-", "--rules", "none"}), "rules for credentials: reading none: No such file");
  std::string clean = write("work/clean", "nothing in here\n"), dirty = write("work/dirty", "x=winter-otter-4711\n");
  std::string known = write("known", "token=winter-otter-4711\n");
  EXPECT_EQ(bottle({"scan", clean}).status, 0);
  Answer answer = bottle({"scan", "--json", "--known", known, clean, dirty});
  EXPECT_EQ(answer.status, 1) << answer.err;
  EXPECT_EQ(answer.json()["files"][0]["blocked"], false);
  EXPECT_EQ(answer.json()["files"][1]["blocked"], true);
  EXPECT_EQ(answer.out.find("winter-otter-4711"), std::string::npos) << "the value itself is never printed";
  answer = bottle({"scan", "--known", known, dirty});
  EXPECT_TRUE(answer.out.starts_with(dirty + ": byte 2: ")) << answer.out;
  std::string marks;
  for (int i = 0; i < 400; ++i) marks += "\x78\x9c\x03";
  answer = bottle({"scan", write("work/marks", marks)});
  EXPECT_EQ(answer.status, 1);
  EXPECT_NE(answer.out.find("takes the guard too long"), std::string::npos) << answer.out;
  // So many findings are within the limits of a scan that only reports them.
  std::string repeated;
  for (int i = 0; i < 400; ++i) repeated += "winter-otter-4711\n";
  answer = bottle({"scan", "--known", known, write("work/repeated", repeated)});
  EXPECT_NE(answer.out.find("has too many findings"), std::string::npos) << answer.out;
}

// Some editors begin a file with a byte order mark. All files become one text.
TEST_F(Commands, scan_reads_rules_with_a_byte_order_mark) {
  auto rule = [&](const std::string& id) {
    return write(id, "\xef\xbb\xbf[" + id + "]\nis: a key\npattern: abcd\nyes: abcd\nno: b\n");
  };
  auto read = read_own_rules({rule("one"), rule("two")});
  ASSERT_TRUE(read) << read.error().what;
  ASSERT_EQ(read->size(), 2u);
  EXPECT_TRUE((*read)[1].text.starts_with("[two]"));
}

// A ProxyCommand such as `python3 -m …` would run files of the current directory.
TEST_F(Commands, remote_starts_ssh_outside_of_the_current_directory) {
  std::string ssh = write("bin/ssh", "#!/bin/sh\npwd >>\"$HOME/places\"\nexit 255\n");
  ASSERT_EQ(::chmod(ssh.c_str(), 0755), 0);
  set("PATH", home() + "/bin:/usr/bin:/bin");
  std::filesystem::create_directory(home() + "/repository");
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"remote", "check", "me@vm.example"}, {"remote", "setup", "me@vm.example", "--yes"}}) {
    ASSERT_EQ(::chdir((home() + "/repository").c_str()), 0);
    EXPECT_EQ(bottle(words).status, 125);
  }
  std::string places = read("places");
  EXPECT_FALSE(places.empty());
  EXPECT_EQ(places.find("repository"), std::string::npos) << places;
}

TEST_F(Commands, remote_checks_its_target_before_it_connects) {
  expect_failed(bottle({"remote", "setup", "me@vm.example", "--docker-script", "/nosuch"}),
                "bottle: --docker-script: reading /nosuch: ", "name a shell script, or leave out --docker-script");
  expect_failed(bottle({"remote"}), "bottle: remote: no command was given", "see `bottle help remote`");
  expect_failed(bottle({"remote", "check"}), "no USER@HOST was given", "see `bottle help remote check`");
  expect_failed(bottle({"remote", "check", "a b"}), "'a b' is not user@host[:port]",
                "write it as me@vm.example.org or me@vm.example.org:2222");
  Answer answer = bottle({"remote", "setup", "--json", "--yes", "-oProxyCommand=x"});
  EXPECT_EQ(answer.status, 125);
  EXPECT_EQ(answer.out, "");
}

TEST_F(Commands, vm_names_what_the_manifest_lacks) {
  expect_failed(bottle({"vm", "create", "lab"}), "the manifest has no VM 'lab'", "vms: {lab: {provider: qemu}}");
  expect_failed(bottle({"vm", "bake", "lab"}), "the manifest has no VM 'lab'");
  expect_failed(bottle({"vm", "destroy"}), "needs either a name or --all", "`bottle vm list`");
  expect_failed(bottle({"vm", "destroy", "lab", "--all"}), "needs either a name or --all");
  expect_failed(bottle({"vm", "destroy", "lab"}), "you have no VM named lab", "see `bottle vm list`");
}

TEST_F(Commands, vm_list_works_without_vms) {
  EXPECT_EQ(bottle({"vm", "list"}).out, "no VMs\n");
  EXPECT_EQ(bottle({"vm", "list", "--json"}).out, "[]\n");
}

TEST_F(Commands, provider_lists_the_built_in_and_the_operators_providers) {
  set("PATH", "/nonexistent");  // makes all hooks of the built-in providers fail
  std::string hook = write(".config/bottle/providers/mine/list", "#!/bin/sh\necho '[]'\n");
  ASSERT_EQ(::chmod(hook.c_str(), 0700), 0);
  bool mine = false, qemu = false;
  for (const auto& provider : bottle({"provider", "list", "--json"}).json()) {
    if (provider["name"] == "mine") mine = provider["carried"] == false;
    if (provider["name"] == "qemu") qemu = provider["carried"] == true;
  }
  EXPECT_TRUE(mine);
  EXPECT_TRUE(qemu);
  std::string people = bottle({"provider", "list"}).out;
  EXPECT_NE(people.find("  WHY\n"), std::string::npos) << people;
  EXPECT_NE(people.find("\nqemu       not set up  built in"), std::string::npos) << people;
}

// Like a link that another user made in /tmp, this path cannot be removed, and leads to a file of the operator.
TEST_F(Commands, guard_run_writes_its_certificate_only_into_a_new_file) {
  std::string config = write("guard.yaml", "egress: {allow: [a.example]}\n"), mine = write("mine", "");
  UniqueFd file(::open(mine.c_str(), O_RDWR | O_CLOEXEC));
  std::string link = "/dev/fd/" + std::to_string(file.get());
  expect_failed(bottle({"guard", "run", "--listen", "nowhere", "--config", config, "--ca-out", link}),
                "opening " + link + ": File exists");
}

// Hooks are programs of others, which have no use for what an agent signs in with. Many programs read settings from the
// current directory.
TEST_F(Commands, vm_and_provider_keep_the_agents_credentials_and_the_directory_from_hooks) {
  set("ANTHROPIC_API_KEY", "winter-otter-4711");
  set("GEMINI_API_KEY", "winter-otter-4711");
  set("CLOUD_TOKEN", "of the provider");
  // The built-in providers must not find a cloud's program, which would ask the cloud and take seconds.
  std::filesystem::create_directory(home() + "/bin");
  std::filesystem::create_symlink("/usr/bin/ssh-keygen", home() + "/bin/ssh-keygen");
  set("PATH", home() + "/bin");
  std::string dump = "#!/bin/sh\n{ export -p; echo \"in $(pwd -P)\"; } >> '" + home() + "/seen'\nexit 78\n";
  for (const char* hook : {"create", "ssh-info", "status", "destroy", "list"})
    ASSERT_EQ(::chmod(write(std::string(".config/bottle/providers/mine/") + hook, dump).c_str(), 0700), 0);
  for (const auto& words : std::vector<std::vector<std::string>>{{"vm", "list"},
                                                                 {"vm", "destroy", "--all"},
                                                                 {"vm", "destroy", "lab"},
                                                                 {"cleanup"},
                                                                 {"cleanup", "--dry-run"},
                                                                 {"provider", "list"},
                                                                 {"provider", "test", "mine", "--no-ssh"}}) {
    write("seen", "");
    (void)bottle(words);
    EXPECT_NE(read("seen").find("CLOUD_TOKEN="), std::string::npos) << words[0] << " " << words[1] << " ran no hook";
    EXPECT_EQ(read("seen").find("winter-otter-4711"), std::string::npos) << words[0] << " " << words.back();
    EXPECT_EQ(read("seen").find("in " + home() + "/work\n"), std::string::npos)
        << words[0] << " " << words.back() << " ran a hook in the current directory, which may be a repository";
  }
}

TEST_F(Commands, provider_test_checks_its_arguments) {
  expect_failed(bottle({"provider", "test", "none"}), "there is no provider 'none'", home() + "/.config/bottle");
  expect_failed(bottle({"provider", "test", "qemu", "--set", "x"}), "--set x is not KEY=VALUE");
}

TEST_F(Commands, init_writes_a_manifest_that_checks_and_never_overwrites_it) {
  Answer shown = bottle({"init", "--print"});
  EXPECT_EQ(shown.status, 0);
  EXPECT_FALSE(std::filesystem::exists(home() + "/.config/bottle"));
  Answer answer = bottle({"init"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_EQ(answer.out, home() + "/.config/bottle/bottle.yaml\n");
  EXPECT_EQ(read(".config/bottle/bottle.yaml"), shown.out);
  EXPECT_EQ(bottle({"check", "--json"}).json()["ok"], true);
  write(".config/bottle/bottle.yaml", "mine");
  expect_failed(bottle({"init"}), "bottle.yaml already exists", "run `bottle check`");
  EXPECT_EQ(read(".config/bottle/bottle.yaml"), "mine");
}

TEST_F(Commands, init_writes_nothing_if_there_is_a_manifest_in_json) {
  write(".config/bottle/bottle.json", "{}");
  expect_failed(bottle({"init"}), "bottle.json already exists", "run `bottle check`");
}

TEST_F(Commands, doctor_says_what_to_do_without_an_engine) {
  Answer people = bottle({"doctor"});
  EXPECT_EQ(people.status, 1);
  EXPECT_NE(people.out.find("install and start Docker"), std::string::npos) << people.out;
  auto findings = bottle({"doctor", "--json"}).json()["findings"];
  ASSERT_FALSE(findings.empty());
  EXPECT_EQ(findings[0]["code"], "engine");
  EXPECT_EQ(findings[0]["severity"], "fail");
}

// A file in the place of the directory cannot be written to by anyone, even by root.
TEST_F(Commands, doctor_fails_if_no_results_can_be_written) {
  write(".local/state/bottle", "");
  auto findings = bottle({"doctor", "--json"}).json()["findings"];
  auto found = std::ranges::find_if(findings, [](const auto& each) { return each["code"] == "state_disk"; });
  ASSERT_NE(found, findings.end()) << findings;
  EXPECT_EQ((*found)["severity"], "fail") << findings;
  EXPECT_NE((*found)["todo"].template get<std::string>().find("set XDG_STATE_HOME"), std::string::npos) << findings;
}

TEST_F(Commands, image_checks_its_options_before_it_asks_the_engine) {
  expect_failed(bottle({"image"}), "bottle: image: no command was given", "see `bottle help image`");
  expect_failed(bottle({"image", "build", "cluade"}), "there is no provider 'cluade'", "did you mean 'claude'?");
  expect_failed(bottle({"image", "build", "claude", "--integrity", "x"}), "--integrity needs --agent-version",
                "add --agent-version VERSION");
  expect_failed(bottle({"image", "build", "shell", "--agent-version", "1.2.3"}),
                "is for the programs of claude and codex", "leave it out");
  expect_failed(bottle({"image", "build", "claude", "--agent-version", "new"}), "--agent-version new: expected");
}

TEST_F(Commands, image_needs_the_engine) {
  expect_no_engine(bottle({"image", "list"}));
  expect_no_engine(bottle({"image", "prune"}));
  EXPECT_EQ(bottle({"image", "list", "--json"}).error()["code"], "unavailable");
}

TEST_F(Commands, engine_needs_the_engine) {
  expect_failed(bottle({"engine"}), "bottle: engine: no command was given", "see `bottle help engine`");
  expect_no_engine(bottle({"engine", "prepare"}));
}

TEST_F(Commands, guard_checks_its_file_before_it_listens) {
  expect_failed(bottle({"guard", "run"}), "--listen is missing", "see `bottle help guard run`");
  expect_failed(bottle({"guard", "run", "--listen", "127.0.0.1:1", "--config", "none.yaml"}),
                "the guard's configuration (--config): reading none.yaml");
  std::string path = write("work/guard.yaml", "egres: {}\n");
  expect_failed(bottle({"guard", "run", "--listen", "127.0.0.1:1", "--config", path}),
                "guard.yaml:1:1: unknown key 'egres'", "did you mean 'egress'?");
}

TEST_F(Commands, a_wrong_word_is_reported_without_the_programs_name_twice) {
  expect_failed(bottle({"frob"}), "bottle: there is no command 'frob'", "see `bottle help`");
  expect_failed(bottle({"image", "biuld"}), "bottle: image: there is no command 'biuld'", "did you mean 'build'?");
  expect_failed(bottle({"list", "--jsno"}), "bottle: list: there is no option '--jsno'", "did you mean '--json'?");
  for (const std::string flag : {"-y", "--yes"})
    expect_failed(bottle({flag, "discard", "x"}), "bottle: discard: " + flag + " stands before the command",
                  "write it after `bottle discard`");
  expect_failed(bottle({"list", "--all=x"}), "bottle: list: --all takes no value", "write only --all; see");
  expect_failed(bottle({"vm", "destroy"}), "bottle: vm destroy needs either a name or --all");
}

TEST_F(Commands, help_shows_the_page_of_a_command) {
  Answer all = bottle({"help"}), one = bottle({"help", "list"}), flag = bottle({"list", "--help"});
  EXPECT_NE(all.out.find("start"), std::string::npos);
  EXPECT_TRUE(one.out.starts_with("bottle list: ")) << one.out;
  EXPECT_EQ(flag.out, one.out);
  expect_failed(bottle({"help", "lst"}), "there is no command 'lst'", "did you mean 'list'?");
}

TEST_F(Commands, help_prints_the_documentation_that_pages_refer_to) {
  std::string root = std::filesystem::current_path();
  for (auto document : documents()) {
    auto text = read_file(root + "/" + std::string(document));
    ASSERT_TRUE(text) << text.error().what;
    EXPECT_EQ(bottle({"help", std::string(document)}).out, *text) << document;
  }
  for (const auto& command : commands()) {
    std::string help = bottle({"help", command.name}).out;
    const std::regex page("docs/[a-z]+[.]md");
    for (std::sregex_iterator at(help.begin(), help.end(), page), end; at != end; ++at)
      EXPECT_FALSE(document_text(at->str()).empty()) << command.name << " refers to " << at->str();
  }
  bool offered = false;
  for (const auto& candidate : names_here("bottle help", "COMMAND")) offered |= candidate.value == "docs/guard.md";
  EXPECT_TRUE(offered);
}

TEST_F(Commands, man_prints_and_writes_the_pages) {
  Answer one = bottle({"man", "list"});
  EXPECT_TRUE(one.out.starts_with(".TH BOTTLE\\-LIST 1")) << one.out;
  expect_failed(bottle({"man", "lst"}), "there is no command 'lst'", "did you mean 'list'?");
  EXPECT_EQ(bottle({"man", "--write", home() + "/man"}).status, 0);
  EXPECT_EQ(read("man/bottle-list.1"), one.out);
}

TEST_F(Commands, completion_supports_three_shells) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    Answer answer = bottle({"completion", shell});
    EXPECT_EQ(answer.status, 0);
    EXPECT_NE(answer.out.find("__complete"), std::string::npos) << shell;
  }
  expect_failed(bottle({"completion", "bas"}), "there is no completion for 'bas'", "did you mean 'bash'?");
}

}  // namespace
}  // namespace bottle::app
