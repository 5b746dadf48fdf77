#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/ids.h"
#include "session/console/output_log.h"
#include "session/guard_link/policy_change.h"
#include "session/ledger/ledger.h"
#include "session/ledger/scratch_test.h"
#include "wire/frames.h"

namespace bottle::session {
namespace {

TEST(OutputLog, IsTheSameFromAFile) {
  Scratch scratch;
  std::string path = scratch.path + "/output";
  OutputLog log(100);
  for (int i = 0; i < 6; ++i)
    log.append(i % 2 ? FrameType::diagnostic : FrameType::output, std::string(30, static_cast<char>('a' + i)));
  ASSERT_TRUE(log.save(path));
  auto loaded = OutputLog::load(path);
  ASSERT_TRUE(loaded) << loaded.error().what;
  for (const char* wish : {"{\"from\":0}", "{\"from\":125}", "{\"from\":180}", "{\"from\":999}", "{}", "nonsense"})
    EXPECT_EQ(loaded->answer(wish), log.answer(wish)) << wish;
  EXPECT_NE(log.answer("{\"from\":0}").find("\"missed\":90"), std::string::npos) << log.answer("{\"from\":0}");
  for (const char* text : {"", "nonsense", "p\0\0\0"}) {
    ASSERT_TRUE(write_file_atomically(path, text));
    EXPECT_FALSE(OutputLog::load(path)) << text;
  }
}

TEST(Owner, IsDeadOnlyWhenItsLastThreadIs) {
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

TEST(LivePolicy, AddsTakesBackAndForbids) {
  using nlohmann::json;
  json allow = json::array({{{"host", "a.example.org"}, {"ports", json::array()}}});
  allow = *changed_rules(allow, {{"allow", {{"host", "New.Example.org"}, {"ports", {8443}}}}});
  ASSERT_EQ(allow.size(), 2u);
  EXPECT_EQ(allow[1]["host"], "new.example.org");
  EXPECT_EQ(allow[1]["inspect"], false);
  allow = *changed_rules(allow, {{"deny", "a.example.org"}});
  EXPECT_EQ(allow, json::array({allow[0], {{"host", "a.example.org"}, {"deny", true}}}));
  EXPECT_EQ(*changed_rules(allow, {{"deny", "a.example.org"}}), allow) << "twice is once";
  allow = *changed_rules(allow, {{"allow", {{"host", "a.example.org"}, {"methods", {"GET"}}}}});
  EXPECT_EQ(allow.back()["inspect"], true);
  for (const auto& rule : allow) EXPECT_FALSE(rule.value("deny", false));
  for (json bad : {json{{"allow", {{"host", "*"}}}}, json{{"allow", {{"host", "10.0.0.1"}}}},
                   json{{"allow", {{"host", "a b"}}}}, json{{"allow", {{"host", "a.org"}, {"paths", {"x"}}}}},
                   json{{"allow", "a.org"}}, json{{"deny", 3}}, json::object()})
    EXPECT_FALSE(changed_rules(allow, bad)) << bad;
}

TEST(LivePolicy, WhatTheGuardRefusesIsTakenBack) {
  using nlohmann::json;
  json message = {{"type", "configure"}, {"config", {{"egress", {{"allow", json::array()}}}}}}, before = message;
  std::vector<json> sent, told;
  bool up = true;
  LivePolicy policy(
      message,
      [&](const json& m) -> Result<> { return up ? (sent.push_back(m), Result<>{}) : fail(Code::unavailable, "down"); },
      [&](const json& e) { told.push_back(e); });
  policy.request(R"({"id":"1","allow":{"host":"a.example.org"}})");
  policy.request(R"({"id":"2","deny":"b.example.org"})");
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_TRUE(told.empty());
  policy.accepted();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0]["ok"] == true && told[0]["id"] == "1");
  EXPECT_TRUE(policy.refused("no"));
  EXPECT_EQ(message, sent[0]) << "the second is taken back, the first stays";
  EXPECT_FALSE(policy.refused("something else"));
  up = false;
  policy.request(R"({"id":"3","allow":{"host":"c.example.org"}})");
  EXPECT_TRUE(told.back()["ok"] == false && told.back()["id"] == "3");
  EXPECT_EQ(message, sent[0]);
  policy.request("nonsense");
}

TEST(LivePolicy, WithoutARecordTheGuardIsToldToLetNothingThrough) {
  using nlohmann::json;
  json message = {{"type", "configure"}, {"config", {{"egress", {{"allow", json::array()}}}}}};
  std::vector<json> sent, told;
  bool up = true;
  LivePolicy policy(
      message,
      [&](const json& m) -> Result<> { return up ? (sent.push_back(m), Result<>{}) : fail(Code::unavailable, "down"); },
      [&](const json& e) { told.push_back(e); });
  policy.set_unrecorded("");
  EXPECT_TRUE(sent.empty());
  policy.request(R"({"id":"1","allow":{"host":"a.example.org"}})");
  policy.set_unrecorded("the disk is full");
  policy.set_unrecorded("the disk is full");
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[1]["config"]["unrecorded"], "the disk is full");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0]["event"], "record-full");
  // Both are taken back where the guard refuses the first; this must not be forgotten.
  policy.refused("no");
  policy.set_unrecorded("the disk is full");
  EXPECT_EQ(sent.back()["config"]["unrecorded"], "the disk is full");
  // A guard that is dead hears of it when it comes back.
  up = false;
  policy.set_unrecorded("");
  EXPECT_EQ(message["config"]["unrecorded"], "");
  EXPECT_EQ(told.back()["event"], "record-back");
}

TEST(LivePolicy, AnotherBrokersRootIsTrustedOnceAndTakenBackWhereItIsRefused) {
  using nlohmann::json;
  json message = {{"type", "configure"}, {"config", {{"egress", {{"allow", json::array()}, {"extra_ca", "FIRST"}}}}}},
       before = message;
  std::vector<json> sent, told;
  bool up = true;
  LivePolicy policy(
      message,
      [&](const json& m) -> Result<> { return up ? (sent.push_back(m), Result<>{}) : fail(Code::unavailable, "down"); },
      [&](const json& e) { told.push_back(e); });
  policy.trust("");
  policy.trust("FIRST");
  EXPECT_TRUE(sent.empty());
  policy.trust("SECOND");
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(message["config"]["egress"]["extra_ca"], "FIRST\nSECOND");
  policy.trust("SECOND");
  EXPECT_EQ(sent.size(), 1u);
  EXPECT_FALSE(policy.refused("no certificate")) << "no operator's request: the error is news";
  EXPECT_EQ(message, before);
  policy.trust("THIRD");
  policy.accepted();
  up = false;
  policy.trust("FOURTH");
  EXPECT_EQ(message["config"]["egress"]["extra_ca"], "FIRST\nTHIRD\nFOURTH") << "for the next guard";
  EXPECT_TRUE(told.empty());
}

}  // namespace
}  // namespace bottle::session
