#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/this_program.h"
#include "session/console/output_log.h"
#include "session/gate.h"
#include "session/guard_link/egress_summary.h"
#include "session/guard_link/policy_change.h"
#include "session/ledger/ledger.h"
#include "session/ledger/scratch_test.h"
#include "wire/frames/frames.h"

namespace bottle::session {
namespace {

TEST(SelfTest, AContainerThatEndsBeforeItIsQuoted) {
  for (const auto& [said, error] :
       {std::pair("", "the agent's container ended before its self-test"),
        std::pair("exec /.bottle/inside: no such file\n",
                  "the agent's container ended before its self-test: exec /.bottle/inside: no such file")}) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    Gate gate(docker::Attached(UniqueFd(ends[0]), said), true);
    ::close(ends[1]);
    auto report = gate.await_report(10000);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().what, error);
  }
}

TEST(OutputLog, IsTheSameFromAFile) {
  Scratch scratch;
  std::string path = scratch.path + "/output";
  OutputLog log(100);
  for (int i = 0; i < 6; ++i)
    log.append(i % 2 ? FrameType::diagnostic : FrameType::output, std::string(30, static_cast<char>('a' + i)));
  ASSERT_TRUE(log.save(path));
  auto loaded = OutputLog::load(path);
  ASSERT_TRUE(loaded) << loaded.error().what;
  for (std::optional<uint64_t> from : {std::optional<uint64_t>(0), {125}, {180}, {999}, {}})
    EXPECT_EQ(loaded->answer({.from = from}), log.answer({.from = from})) << from.value_or(1);
  EXPECT_NE(log.answer({.from = 0}).find("\"missed\":90"), std::string::npos) << log.answer({.from = 0});
  for (const char* text : {"", "nonsense", "p\0\0\0"}) {
    ASSERT_TRUE(write_file_atomically(path, text));
    EXPECT_FALSE(OutputLog::load(path)) << text;
  }
}

TEST(Owner, IsDeadOnlyWhenItsLastThreadIs) {
  if (!can_be_far_side()) GTEST_SKIP() << "POSIX does not tell about threads";
  pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  Owner owner{::getuid(), child, "", Owner::self().boot_id};
  auto stat = *read_file("/proc/" + std::to_string(child) + "/stat");
  std::istringstream rest(stat.substr(stat.rfind(')') + 1));
  for (int i = 3; i <= 22; ++i) rest >> owner.start_time;
  EXPECT_TRUE(owner.alive());
  ::kill(child, SIGKILL);
  EXPECT_FALSE(owner.alive()) << "a process that is being killed is waited for";
  ::waitpid(child, nullptr, 0);
}

TEST(Owner, AReusedPidIsNotTheOwner) {
  Owner owner = Owner::self();
  owner.start_time += "1";
  EXPECT_FALSE(owner.alive());
  auto back = Owner::from_label(Owner::self().to_label());
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->alive());
}

TEST(Frames, ArriveWholeHoweverTheyWereCut) {
  std::string wire = encode(FrameType::output, "hello") + encode(FrameType::result, "");
  FrameReader reader;
  int frames = 0;
  for (char c : wire) {
    reader.feed({&c, 1});
    while (auto frame = reader.next()) ++frames;
  }
  EXPECT_EQ(frames, 2);
  reader.feed(std::string("o\xff\xff\xff\xff", 5));
  EXPECT_EQ(reader.next().error().code, Code::limit);
}

TEST(Frames, WhatIsReadAsJsonMayBeShorterThanOutput) {
  FrameReader reader(1000);
  reader.feed(encode(FrameType::output, std::string(2000, 'o')) + encode(FrameType::event, std::string(1000, ' ')) +
              encode(FrameType::event, std::string(1001, ' ')));
  EXPECT_EQ(reader.next()->bytes.size(), 2000u);
  EXPECT_EQ(reader.next()->bytes.size(), 1000u);
  EXPECT_EQ(reader.next().error().code, Code::limit);
}

wire::PolicyChange allow(const std::string& id, manifest::AllowRule rule) {
  return {.id = id, .allow = std::move(rule)};
}
const wire::PolicyChanged& changed(const wire::Event& event) { return std::get<wire::PolicyChanged>(event); }
wire::PolicyChange deny(const std::string& host) { return {.id = "2", .deny = host}; }

TEST(LivePolicy, AddsTakesBackAndForbids) {
  std::vector<wire::GuardRule> rules = {{.host = "a.example.org"}};
  rules = *changed_rules(rules, allow("1", {.host = "New.Example.org", .ports = {8443}}));
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[1].host, "new.example.org");
  EXPECT_FALSE(rules[1].inspect);
  rules = *changed_rules(rules, deny("a.example.org"));
  EXPECT_EQ(rules, std::vector<wire::GuardRule>({rules[0], {.host = "a.example.org", .deny = true}}));
  EXPECT_EQ(*changed_rules(rules, deny("a.example.org")), rules) << "twice is once";
  rules = *changed_rules(rules, allow("1", {.host = "a.example.org", .methods = {"GET"}}));
  EXPECT_TRUE(rules.back().inspect);
  for (const auto& rule : rules) EXPECT_FALSE(rule.deny);
  for (const auto& bad : {allow("1", {.host = "*"}), allow("1", {.host = "10.0.0.1"}), allow("1", {.host = "a b"}),
                          allow("1", {.host = "a.org", .paths = {"x"}}), deny(""), wire::PolicyChange()})
    EXPECT_FALSE(changed_rules(rules, bad)) << bad.allow.value_or(manifest::AllowRule()).host;
}

TEST(LivePolicy, WhatTheGuardRefusesIsTakenBack) {
  wire::GuardConfig config;
  std::vector<wire::GuardConfig> sent;
  std::vector<wire::Event> told;
  bool up = true;
  LivePolicy policy(
      config,
      [&](const wire::GuardConfig& told) -> Result<> {
        return up ? (sent.push_back(told), Result<>{}) : fail(Code::unavailable, "down");
      },
      [&](const wire::Event& e) { told.push_back(e); });
  policy.request(allow("1", {.host = "a.example.org"}));
  policy.request(deny("b.example.org"));
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_TRUE(told.empty());
  policy.accepted();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(changed(told[0]).ok && changed(told[0]).id == "1");
  EXPECT_TRUE(policy.refused("no"));
  EXPECT_EQ(config, sent[0]) << "the second is taken back, the first stays";
  EXPECT_FALSE(policy.refused("something else"));
  up = false;
  policy.request(allow("3", {.host = "c.example.org"}));
  EXPECT_TRUE(!changed(told.back()).ok && changed(told.back()).id == "3");
  EXPECT_EQ(config, sent[0]);
}

TEST(LivePolicy, LetsACredentialLeaveByItsFingerprint) {
  wire::GuardConfig config;
  std::vector<wire::GuardConfig> sent;
  std::vector<wire::Event> told;
  LivePolicy policy(
      config, [&](const wire::GuardConfig& each) { return sent.push_back(each), Result<>{}; },
      [&](const wire::Event& e) { told.push_back(e); });
  policy.request({.id = "1", .secret = "3543c50b0cb9"});
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].egress.allowed_secrets, std::vector<std::string>{"3543c50b0cb9"});
  policy.accepted();
  EXPECT_TRUE(changed(told.back()).ok);
  policy.request({.id = "2", .secret = "the-value-itself"});
  EXPECT_FALSE(changed(told.back()).ok);
  EXPECT_EQ(sent.size(), 1u) << "the guard never gets a value as an exception";
}

TEST(LivePolicy, WithoutARecordTheGuardIsToldToLetNothingThrough) {
  wire::GuardConfig config;
  std::vector<wire::GuardConfig> sent;
  std::vector<wire::Event> told;
  bool up = true;
  LivePolicy policy(
      config,
      [&](const wire::GuardConfig& told) -> Result<> {
        return up ? (sent.push_back(told), Result<>{}) : fail(Code::unavailable, "down");
      },
      [&](const wire::Event& e) { told.push_back(e); });
  policy.set_unrecorded("");
  EXPECT_TRUE(sent.empty());
  policy.request(allow("1", {.host = "a.example.org"}));
  policy.set_unrecorded("the disk is full");
  policy.set_unrecorded("the disk is full");
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[1].unrecorded, "the disk is full");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<wire::RecordFull>(told[0]));
  // Both are undone if the guard refuses the first, and this one must not be lost.
  policy.refused("no");
  policy.set_unrecorded("the disk is full");
  EXPECT_EQ(sent.back().unrecorded, "the disk is full");
  // A dead guard gets it when it restarts.
  up = false;
  policy.set_unrecorded("");
  EXPECT_EQ(config.unrecorded, "");
  EXPECT_TRUE(std::holds_alternative<wire::RecordBack>(told.back()));
}

TEST(LivePolicy, AnotherBrokersRootIsTrustedOnceAndTakenBackWhereItIsRefused) {
  wire::GuardConfig config;
  config.egress.extra_ca = "FIRST";
  const auto before = config;
  std::vector<wire::GuardConfig> sent;
  std::vector<wire::Event> told;
  bool up = true;
  LivePolicy policy(
      config,
      [&](const wire::GuardConfig& told) -> Result<> {
        return up ? (sent.push_back(told), Result<>{}) : fail(Code::unavailable, "down");
      },
      [&](const wire::Event& e) { told.push_back(e); });
  policy.trust("");
  policy.trust("FIRST");
  EXPECT_TRUE(sent.empty());
  policy.trust("SECOND");
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(config.egress.extra_ca, "FIRST\nSECOND");
  policy.trust("SECOND");
  EXPECT_EQ(sent.size(), 1u);
  EXPECT_FALSE(policy.refused("no certificate")) << "no operator's request: the error is news";
  EXPECT_EQ(config, before);
  policy.trust("THIRD");
  policy.accepted();
  up = false;
  policy.trust("FOURTH");
  EXPECT_EQ(config.egress.extra_ca, "FIRST\nTHIRD\nFOURTH") << "for the next guard";
  EXPECT_TRUE(told.empty());
}

}  // namespace
}  // namespace bottle::session
