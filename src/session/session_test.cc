#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/ids.h"
#include "session/frames.h"
#include "session/live_policy.h"
#include "session/ledger.h"

namespace bottle::session {
namespace {

TEST(Ledger, SurvivesATornLastLineAndKeepsOrder) {
  std::string dir = ::testing::TempDir() + "/ledger-" + random_hex(4);
  {
    auto ledger = Ledger::create(dir, Owner::self());
    ASSERT_TRUE(ledger) << ledger.error().what;
    ASSERT_TRUE(ledger->will_make({{"network", "a"}, {"container", "b"}}));
    ASSERT_TRUE(ledger->note({{"engine", "/run/d.sock"}}));
  }
  std::string text = *read_file(dir + "/ledger");
  ASSERT_TRUE(write_file_atomically(dir + "/ledger", text + "{\"make\":[{\"ki"));
  auto view = read_ledger(dir);
  ASSERT_TRUE(view);
  ASSERT_EQ(view->things.size(), 2u);
  EXPECT_EQ(view->things[0].name, "a");
  EXPECT_EQ(view->engine, "/run/d.sock");
  EXPECT_TRUE(view->owner.alive());
  EXPECT_FALSE(Ledger::create(dir, Owner::self()));  // one ledger a session
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
  for (json bad : {json{{"allow", {{"host", "*"}}}}, json{{"allow", {{"host", "10.0.0.1"}}}}, json{{"allow", {{"host", "a b"}}}}, json{{"allow", {{"host", "a.org"}, {"paths", {"x"}}}}},
                   json{{"allow", "a.org"}}, json{{"deny", 3}}, json::object()})
    EXPECT_FALSE(changed_rules(allow, bad)) << bad;
}

TEST(LivePolicy, WhatTheGuardRefusesIsTakenBack) {
  using nlohmann::json;
  json message = {{"type", "configure"}, {"config", {{"egress", {{"allow", json::array()}}}}}}, before = message;
  std::vector<json> sent, told;
  bool up = true;
  LivePolicy policy(message, [&](const json& m) -> Result<> { return up ? (sent.push_back(m), Result<>{}) : fail(Code::unavailable, "down"); }, [&](const json& e) { told.push_back(e); });
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

}  // namespace
}  // namespace bottle::session
