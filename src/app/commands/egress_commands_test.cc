// Tests the commands about the record and the policy of guards, without a session.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "app/commands/command_test.h"
#include "app/egress/decisions.h"
#include "base/files/file.h"
#include "session/audit/audit_file.h"
#include "wire/result.h"

namespace bottle::app {
namespace {

constexpr const char* kPolicy =
    "bottles:\n  web: {workspace: copy, egress: {presets: [npm], allow: [{host: api.example.org, methods: [GET], "
    "paths: "
    "[/v1/**]}, '*.blind.example.org']}}\nagents:\n  make: {bottle: web, provider: command, command: [make]}\n";

using Action = wire::DecisionAction;

wire::Decision http(Action action, const char* method, const char* path, const char* code) {
  return {.time = "2026-01-01T00:00:00.000Z",
          .action = action,
          .kind = wire::DecisionKind::http,
          .host = "api.example.org",
          .port = 443,
          .method = method,
          .path = path,
          .code = code,
          .reason = "x",
          .lacks = code == std::string("not_allowed") ? std::optional(policy::Lacks::path) : std::nullopt};
}

// Writes the record and the result of a session that has ended.
std::string leave_record(const std::string& results) {
  std::filesystem::create_directories(results);
  session::AuditFile audit(results + "/egress.jsonl");
  audit.add(http(Action::allow, "GET", "/v1/users", "allowed"));
  audit.add(http(Action::allow, "GET", "/v2/users", "allowed"));
  audit.add(http(Action::deny, "GET", "/v1/other", "not_allowed"));
  audit.add(http(Action::deny, "POST", "/v1/other", "secret"));
  wire::SessionResult result{.session = "done", .exit = 0, .audit = {audit.close()}};
  EXPECT_TRUE(write_file_atomically(results + "/result.json", wire::encode(result, wire::Layout::pretty)));
  return results + "/egress.jsonl";
}

TEST_F(Commands, audit_verify_names_what_is_wrong) {
  std::string path = leave_record(home() + "/.local/state/bottle/results/done");
  Answer good = bottle({"audit", "verify", "done", "--json"});
  EXPECT_EQ(good.status, 0) << good.out << good.err;
  auto file = good.json()["files"][0];
  EXPECT_TRUE(file["closed"] && file["sealed"] && file["lines"] == 5) << file;
  EXPECT_EQ(bottle({"audit", "verify", path, "--head", file["head"]}).status, 0);
  EXPECT_EQ(bottle({"audit", "verify", path, "--head", std::string(64, '0')}).status, 1);
  for (const std::string& head : {std::string("0123"), std::string(64, 'x')})
    EXPECT_EQ(bottle({"audit", "verify", path, "--head", head}).status, 125) << head;

  std::string whole = *read_file(path), edited = whole;
  edited.replace(edited.find("/v2/users"), 9, "/v1/users");
  ASSERT_TRUE(write_file_atomically(path, edited));
  Answer changed = bottle({"audit", "verify", "done"});
  EXPECT_EQ(changed.status, 1);
  EXPECT_NE(changed.out.find("  line 2 has changed since it was written\n"), std::string::npos) << changed.out;
  ASSERT_TRUE(write_file_atomically(path, whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1)));
  Answer cut = bottle({"audit", "verify", "done", "--json"});
  EXPECT_EQ(cut.status, 1);
  EXPECT_EQ(cut.json()["files"][0]["faults"][0]["kind"], "cut");
  std::filesystem::remove(path);
  EXPECT_EQ(bottle({"audit", "verify", "done"}).status, 125) << "the result says that there is a record";
  EXPECT_EQ(bottle({"audit", "verify", "nobody"}).status, 125);
}

TEST_F(Commands, audit_verify_says_that_a_file_is_no_record) {
  Answer answer = bottle({"audit", "verify", write("work/other.jsonl", "root:x:0:0\ndaemon:x:1:1")});
  EXPECT_EQ(answer.status, 125) << answer.out;
  EXPECT_NE(answer.err.find("other.jsonl is not an audit: none of its 2 lines is a decision"), std::string::npos)
      << answer.err;
}

TEST_F(Commands, audit_verify_accepts_a_record_that_still_grows) {
  std::string results = home() + "/.local/state/bottle/results/done", path = leave_record(results);
  std::string whole = *read_file(path), open = whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1);
  begin("done");
  // A sealed record no longer grows, even while its session is still being removed.
  ASSERT_TRUE(write_file_atomically(path, whole + "{\"action\":\"allow\""));
  EXPECT_EQ(bottle({"audit", "verify", "done"}).status, 1) << "an added line without an end";
  std::filesystem::remove(results + "/result.json");
  ASSERT_TRUE(write_file_atomically(path, open + "{\"action\":\"al"));
  EXPECT_EQ(bottle({"audit", "verify", "done"}).status, 0);
  Answer by_path = bottle({"audit", "verify", path});
  EXPECT_EQ(by_path.status, 0) << by_path.out << "the same record, by its path";
}

TEST_F(Commands, audit_verify_fails_if_the_seal_cannot_be_read) {
  std::string results = home() + "/.local/state/bottle/results/done", path = leave_record(results);
  write(".local/state/bottle/results/done/result.json", "{");
  Answer broken = bottle({"audit", "verify", "done"});
  EXPECT_EQ(broken.status, 125) << broken.out;
  EXPECT_NE(broken.err.find("result.json"), std::string::npos) << broken.err;
  std::filesystem::remove(results + "/result.json");
  Answer unsealed = bottle({"audit", "verify", "done"});
  EXPECT_EQ(unsealed.status, 0);
  EXPECT_NE(unsealed.out.find("no result confirms where it ends"), std::string::npos) << unsealed.out;
}

TEST_F(Commands, egress_test_says_what_the_guard_would_decide) {
  write(".config/bottle/bottle.yaml", kPolicy);
  Answer answer = bottle({"egress", "test", "--json", "https://api.example.org/v1/a", "https://api.example.org/v2",
                          "https://a.blind.example.org/x", "https://registry.npmjs.org/x", "http://127.1/"});
  EXPECT_EQ(answer.status, 1) << answer.err;
  auto requests = answer.json()["requests"];
  EXPECT_EQ(requests[0]["way"], "inspected");
  EXPECT_EQ(requests[0]["rule"], "{host: api.example.org, methods: [GET], paths: [\"/v1/**\"]}");
  EXPECT_EQ(requests[1]["code"], "not_allowed");
  EXPECT_EQ(requests[1]["way"], "refused");
  EXPECT_EQ(requests[1]["reason"], "no rule allows this path");
  EXPECT_EQ(requests[2]["way"], "blind");
  EXPECT_EQ(requests[3]["preset"], "npm@1");
  EXPECT_EQ(requests[4]["code"], "ip_literal");
  Answer one = bottle({"egress", "test", "--method", "POST", "https://a.blind.example.org/"});
  EXPECT_EQ(one.status, 0) << one.err;
  EXPECT_EQ(one.out, "allow  POST https://a.blind.example.org/  blind, by \"*.blind.example.org\"\n");
  // The guard refuses these requests for reasons other than the rules.
  Answer carrier = bottle({"egress", "test", "--json", "https://0123456789abcdef0123456789abcdef.blind.example.org/"});
  EXPECT_EQ(carrier.status, 1) << carrier.out;
  EXPECT_EQ(carrier.json()["requests"][0]["code"], "name_carries_data");
  for (const char* method : {"TRACE", "CONNECT", "G ET", ""})
    EXPECT_EQ(bottle({"egress", "test", "--method", method, "http://a.blind.example.org/"}).status, 125) << method;
  EXPECT_EQ(bottle({"egress", "test", "http://a.blind.example.org/a b"}).status, 125) << "a space";
  EXPECT_EQ(bottle({"egress", "test", "api.example.org"}).status, 125) << "no scheme";
  Answer user = bottle({"egress", "test", "https://me:word@api.example.org/"});
  EXPECT_NE(user.err.find("it names a user"), std::string::npos) << user.err;
  EXPECT_EQ(bottle({"egress", "test", "--agent", "nobody", "https://a.example.org/"}).status, 125);
}

TEST_F(Commands, egress_replay_says_what_would_change) {
  write(".config/bottle/bottle.yaml", kPolicy);
  std::string path = leave_record(home() + "/.local/state/bottle/results/done");
  Answer answer = bottle({"egress", "replay", "done", "--json"});
  EXPECT_EQ(answer.status, 1) << answer.err;
  auto report = answer.json();
  EXPECT_EQ(report["decisions"], 4);
  EXPECT_EQ(report["same"], 2) << "what has another cause stays as it is";
  ASSERT_EQ(report["changes"].size(), 2u);
  EXPECT_EQ(report["changes"][0]["change"], "refused");
  EXPECT_EQ(report["changes"][0]["path"], "/v2/users");
  EXPECT_EQ(report["changes"][1]["change"], "allowed");
  EXPECT_EQ(report["changes"][1]["path"], "/v1/other");
  write("open.yaml", "egress: {allow: [{host: api.example.org, paths: ['/v1/users', '/v2/**'], inspect: true}]}\n");
  Answer same = bottle({"egress", "replay", path, "--config", home() + "/open.yaml"});
  EXPECT_EQ(same.status, 0) << same.out << same.err;
  EXPECT_NE(same.out.find("4 decisions stay the same"), std::string::npos) << same.out;
  EXPECT_EQ(bottle({"egress", "replay", "nobody"}).status, 125);
}

// What such a record says is not what the guard decided.
TEST_F(Commands, egress_replay_rejects_a_record_that_was_changed) {
  write(".config/bottle/bottle.yaml", kPolicy);
  std::string results = home() + "/.local/state/bottle/results/done", path = leave_record(results);
  std::string whole = *read_file(path), edited = whole;
  edited.replace(edited.find("/v2/users"), 9, "/v1/users");
  std::string cut = whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1);
  for (const auto& [text, said] : {std::pair(edited, "has changed since it was written"),
                                   {cut, "the end of the record is missing"},
                                   {whole + "{}\n", "added after the end"}}) {
    ASSERT_TRUE(write_file_atomically(path, text));
    for (const std::string& what : {std::string("done"), path}) {
      Answer answer = bottle({"egress", "replay", what});
      EXPECT_EQ(answer.status, 125) << answer.out;
      EXPECT_NE(answer.err.find(said), std::string::npos) << answer.err;
      EXPECT_NE(answer.err.find("was changed since it was written, so this is not"), std::string::npos) << answer.err;
    }
    Answer as_json = bottle({"egress", "replay", "done", "--json"});
    EXPECT_EQ(as_json.status, 125) << as_json.out;
    EXPECT_NE(as_json.json()["faults"][0]["what"].get<std::string>().find(said), std::string::npos) << as_json.out;
  }
  std::filesystem::remove(results + "/result.json");
  ASSERT_TRUE(write_file_atomically(path, cut));
  EXPECT_EQ(bottle({"egress", "replay", "done"}).status, 125) << "no session is running that could write the rest";
  begin("done");
  EXPECT_EQ(bottle({"egress", "replay", "done"}).status, 1) << "the session still writes it";
}

// Checks that decisions with causes that are not in the record count neither as unchanged nor as decided by the rules.
TEST_F(Commands, egress_replay_counts_what_it_cannot_judge) {
  write("policy.yaml",
        "egress: {allow: [{host: api.example.org, methods: [GET], paths: ['/v1/**']}, {host: 192.0.2.7, ports: [8080], "
        "methods: [GET]}]}\n");
  auto replay = [&](const std::string& lines) {
    std::string path = write("some.jsonl", lines);
    return bottle({"egress", "replay", path, "--config", home() + "/policy.yaml", "--json"});
  };
  auto line = [](const wire::Decision& decision) { return wire::encode(decision) + "\n"; };
  const std::string good = line(http(Action::allow, "GET", "/v1/a", "allowed"));
  auto unjudged = [&](const std::string& lines) {
    Answer answer = replay(good + lines);
    EXPECT_EQ(answer.status, 0) << answer.out << answer.err;
    EXPECT_EQ(answer.json()["same"], 1) << lines;
    return answer.json()["unjudged"].get<int>();
  };
  EXPECT_EQ(replay("not a record\n").status, 125);
  EXPECT_EQ(replay("").status, 125);
  EXPECT_EQ(unjudged("not a line of a record\n{\"no\":\"end"), 2);
  wire::Decision query = http(Action::deny, "GET", "/v1/a", "not_allowed");
  query.lacks = policy::Lacks::query;
  EXPECT_EQ(unjudged(line(query)), 1);
  query.lacks = policy::Lacks::header;
  EXPECT_EQ(unjudged(line(query)), 1);
  query.lacks.reset();
  EXPECT_EQ(unjudged(line(query)), 1) << "an earlier version did not record what was missing";
  EXPECT_EQ(unjudged(line({.action = Action::dropped, .reason = "the refusals have reached their limit"})), 1);
  wire::Decision tunnel = http(Action::allow, "", "", "allowed");
  tunnel.kind = wire::DecisionKind::connect;
  EXPECT_EQ(unjudged(line(tunnel)), 1) << "what was asked in a blind tunnel is not known";
  wire::Decision literal = http(Action::deny, "GET", "/", "ip_literal");
  literal.host = "192.0.2.7";
  literal.port = 8080;
  EXPECT_EQ(replay(line(literal)).status, 0) << "the guard refuses addresses, whatever the rules say";
}

TEST_F(Commands, a_record_must_be_a_regular_file) {
  write("policy.yaml", "egress: {allow: [api.example.org]}\n");
  std::string pipe = home() + "/pipe.jsonl";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& path : {std::string("/dev/null"), pipe, std::string("/dev/zero")}) {
    Answer replayed = bottle({"egress", "replay", path, "--config", home() + "/policy.yaml"});
    EXPECT_EQ(replayed.status, 125);
    ASSERT_NE(replayed.err.find(path + ": it is not a regular file"), std::string::npos) << replayed.err;
    EXPECT_NE(bottle({"audit", "verify", path}).err.find("is not a regular file"), std::string::npos) << path;
  }
}

TEST_F(Commands, a_record_comes_from_stdin) {
  write(".config/bottle/bottle.yaml", kPolicy);
  std::string path = leave_record(home() + "/.local/state/bottle/results/done");
  write("work/result.json", "{");  // is not about a record from elsewhere
  auto with_input = [&](const std::string& input, const std::vector<std::string>& words) {
    UniqueFd fd(::open(input.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_GE(::dup2(fd.get(), 0), 0);
    return bottle(words);
  };
  Answer replayed = with_input(path, {"egress", "replay", "-", "--json"});
  EXPECT_EQ(replayed.status, 1) << replayed.err;
  EXPECT_EQ(replayed.json()["decisions"], 4);
  Answer verified = with_input(path, {"audit", "verify", "-", "--json"});
  EXPECT_EQ(verified.status, 0) << verified.err;
  auto file = verified.json()["files"][0];
  EXPECT_TRUE(file["closed"] == true && file["sealed"] == false && file["lines"] == 5) << file;
  EXPECT_EQ(with_input(path, {"audit", "verify", "-", "--head", std::string(64, '0')}).status, 1);
  EXPECT_EQ(with_input("/dev/null", {"egress", "replay", "-"}).status, 125);
  Answer directory = with_input("/", {"audit", "verify", "-"});
  EXPECT_EQ(directory.status, 125);
  EXPECT_NE(directory.err.find("reading stdin: Is a directory"), std::string::npos) << directory.err;
}

// Each line costs microseconds, and a file can have a very large number of short ones.
TEST_F(Commands, egress_replay_and_audit_verify_give_up_on_what_is_no_record) {
  write("policy.yaml", "egress: {}\n");
  std::string some;
  for (uint64_t i = 0; i < kMostUnreadable; ++i) some += "x\n";
  for (const std::string& text : {some, some + "x\n"}) {
    std::string path = write("some.jsonl", text), said = "more than 100000 lines are not decisions";
    bool fails = text.size() > some.size();
    Answer verified = bottle({"audit", "verify", path});
    EXPECT_EQ(verified.status, 125) << verified.err;
    EXPECT_EQ(verified.err.find(said) != verified.err.npos, fails) << verified.err;
    Answer replayed = bottle({"egress", "replay", path, "--config", home() + "/policy.yaml"});
    EXPECT_EQ(replayed.status, 125);
    EXPECT_EQ(replayed.err.find(said) != replayed.err.npos, fails) << replayed.err;
  }
}

TEST_F(Commands, audit_verify_finds_that_very_many_lines_were_added) {
  std::string results = home() + "/.local/state/bottle/results/done", path = leave_record(results);
  std::string whole = *read_file(path), added;
  std::string near = results + "/egress-near.jsonl";
  session::AuditFile(near).close();
  for (uint64_t i = 0; i <= kMostUnreadable; ++i) added += "x\n";
  for (const std::string& text : {whole + added, whole.substr(0, whole.find('\n') + 1) + added}) {
    ASSERT_TRUE(write_file_atomically(path, text));
    Answer answer = bottle({"audit", "verify", "done", "--json"});
    EXPECT_EQ(answer.status, 1) << answer.err;
    auto files = answer.json()["files"];
    ASSERT_EQ(files.size(), 2u) << "the other record is checked as well";
    EXPECT_EQ(files[1]["file"], near);
    EXPECT_TRUE(files[1]["faults"].empty());
    EXPECT_FALSE(files[0]["faults"].empty());
  }
  EXPECT_NE(bottle({"audit", "verify", "done"}).out.find("changed since it was written"), std::string::npos);
}

// The guard judges what a name carries after it has recorded that the rules allow the request.
TEST_F(Commands, egress_replay_knows_what_was_allowed_and_then_refused) {
  write("policy.yaml", "egress: {allow: ['*.example.org']}\n");
  wire::Decision allowed = http(Action::allow, "GET", "/", "allowed"),
                 refused = http(Action::deny, "GET", "/", "name_carries_data");
  for (wire::Decision* each : {&allowed, &refused}) {
    each->host = "0123456789abcdef0123456789abcdef.example.org";
    each->port = 80;
  }
  std::string lines = wire::encode(allowed) + "\n" + wire::encode(refused) + "\n";
  auto replay = [&](const std::string& text) {
    return bottle({"egress", "replay", write("some.jsonl", text), "--config", home() + "/policy.yaml", "--json"});
  };
  Answer same = replay(lines + lines);
  EXPECT_EQ(same.status, 0) << same.out << same.err;
  EXPECT_EQ(same.json()["same"], 4);
  Answer other = replay(lines + wire::encode(allowed) + "\n");
  EXPECT_EQ(other.status, 1) << "then, a rule for the full name allowed it";
  EXPECT_EQ(other.json()["changes"][0]["count"], 1) << other.out;
}

TEST_F(Commands, egress_replay_reads_any_count_and_the_audit_of_a_guard_alone) {
  write("policy.yaml", "egress: {allow: [{host: api.example.org, methods: [GET], paths: ['/v1/**']}]}\n");
  auto replay = [&](const std::string& lines) {
    return bottle({"egress", "replay", write("some.jsonl", lines), "--config", home() + "/policy.yaml", "--json"});
  };
  std::string plain = wire::encode(http(Action::allow, "GET", "/v2/a", "allowed"));
  auto counted = [&](const char* count) { return plain.substr(0, plain.size() - 1) + ",\"count\":" + count + "}\n"; };
  EXPECT_EQ(replay(counted("0")).status, 1) << "a decision that would change";
  EXPECT_EQ(replay(counted("18446744073709551615") + plain + "\n").status, 1) << "the sum is not 0";
  std::string alone = plain;
  Answer answer = replay(alone.insert(1, "\"type\":\"audit\",") + "\n{\"type\":\"error\",\"what\":\"x\"}\n");
  EXPECT_EQ(answer.status, 1) << answer.out << answer.err;
  EXPECT_EQ(answer.json()["decisions"], 1);
}

TEST_F(Commands, egress_presets_and_the_plan_show_versions) {
  write(".config/bottle/bottle.yaml", kPolicy);
  Answer list = bottle({"egress", "presets", "--json"});
  EXPECT_EQ(list.json().size(), 11u);
  Answer one = bottle({"egress", "presets", "github-repo:acme/tool"});
  EXPECT_NE(one.out.find("/acme/tool.git/git-upload-pack"), std::string::npos) << one.out << one.err;
  EXPECT_EQ(bottle({"egress", "presets", "npn"}).status, 125);
  Answer plan = bottle({"start", "make", "--dry-run"});
  EXPECT_NE(plan.out.find("registry.npmjs.org  GET HEAD  /**  preset npm@1  inspected"), std::string::npos) << plan.out;
}

}  // namespace
}  // namespace bottle::app
