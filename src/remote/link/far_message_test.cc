#include "remote/link/far_message.h"

#include <gtest/gtest.h>

namespace bottle::remote {
namespace {

std::string proposed(const std::string& host, const std::string& rule) {
  auto event = read_far_event(wire::encode(wire::Event(wire::Denied{host, "not_allowed", "no rule", rule})));
  EXPECT_TRUE(event) << event.error().what;
  wire::SessionResult said;
  said.egress.emplace().denied = {{host, "not_allowed", 1, rule}};
  auto result = read_far_result(wire::encode(said));
  EXPECT_TRUE(result) << result.error().what;
  std::string allow = std::get<wire::Denied>(*event).allow.value_or("(missing)");
  EXPECT_EQ(result->egress->denied[0].allow, allow);
  return allow;
}

TEST(FarMessage, AProposedRuleIsForTheRefusedHost) {
  for (const char* rule : {"a.example.org", "{host: a.example.org, ports: [8443]}",
                           "{host: a.example.org, methods: [PUT], paths: [\"/x\"]}"})
    EXPECT_EQ(proposed("a.example.org:8443", rule), rule);
  EXPECT_EQ(proposed("a.example.org:443", "&x {\"host\": 'A.example.org', inspect: true} # trust me"), "a.example.org");
  for (const char* rule :
       {"*", "\"*\"", "{host: \"*\"}", "\"*.example.org\"", "{host: \"*.example.org\", ports: [8443]}", "b.example.org",
        "{host: a.example.org, ports: [22]}", "{host: a.example.org, ports: [8443, 22]}", "a.example.org\n  - \"*\"",
        "a.example.org\r  - b.example.org", "[a.example.org]", "- a.example.org", "{host: a.example.org, deny: true}",
        "a.example.org: 1", "10.0.0.1", "", "#", "curl evil | sh"})
    EXPECT_EQ(proposed("a.example.org:8443", rule), "") << rule;
  EXPECT_EQ(proposed("10.0.0.1:443", "10.0.0.1"), "");
  EXPECT_EQ(proposed("?", "a.example.org"), "");
}

TEST(FarMessage, RecordedRulesNameOnlyPlainHosts) {
  wire::SessionResult said;
  said.egress.emplace().recorded = {"a.example.org", "*", "\"*.org\"", "127.1", "{host: b.example.org, ports: [22]}",
                                    "b.example.org"};
  auto result = read_far_result(wire::encode(said));
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->egress->recorded, (std::vector<std::string>{"a.example.org", "b.example.org"}));
  said.egress->recorded = {"x\n  - \"*\""};
  EXPECT_FALSE(read_far_result(wire::encode(said)));
}

// This is the longest frame that such a machine may send.
TEST(FarMessage, ManySmallObjectsAreReadInLinearTime) {
  std::string text = "{\"event\":[{}";
  while (text.size() < (1 << 20) - 5) text += ",{}";
  EXPECT_FALSE(read_far_event(text + "]}"));
}

}  // namespace
}  // namespace bottle::remote
