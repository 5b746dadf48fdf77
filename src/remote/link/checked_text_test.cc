#include "remote/link/checked_text.h"

#include <gtest/gtest.h>

namespace bottle::remote {
namespace {

using nlohmann::json;

TEST(FarWords, WhatIsExpectedStays) {
  json said = {{"bottle", "far"},
               {"uid", 1000},
               {"engine", {{"runtimes", {"runc", "runsc"}}, {"rootless", false}}},
               {"images", json::array()},
               {"new", {1, 2}}};
  EXPECT_EQ(far_words(said.dump()), said);
}

TEST(FarWords, AMemberOfAnotherTypeIsNotThere) {
  json heard = far_words(
      R"({"event":["running"],"exit":"7","uid":-1,"images":[1,"a"],"receipt":{"left":"all","confirmed":1},"engine":7,"what":"x"})");
  EXPECT_EQ(heard, (json{{"receipt", json::object()}, {"what", "x"}}));
  EXPECT_EQ(heard.value("event", ""), "");
  EXPECT_EQ(heard.value("exit", 125), 125);
}

TEST(FarWords, WhatIsNoObjectIsNothing) {
  for (const char* text : {"", "[]", "7", "{", "\"x\"", "{\"a\":1} {\"b\":2}"})
    EXPECT_TRUE(far_words(text).is_null()) << text;
  EXPECT_TRUE(far_words("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}").is_null());
}

// The longest frame that such a machine may send.
TEST(FarWords, ManySmallObjectsTakeNoTime) {
  std::string text = "{\"a\":[{}";
  while (text.size() < (1 << 20) - 5) text += ",{}";
  EXPECT_TRUE(far_words(text + "]}").is_object());
}

TEST(FarWords, NothingWritesOnATerminal) {
  EXPECT_EQ(far_words("{\"what\":\"a\\u001b[2Jb\"}")["what"].get<std::string>().find('\x1b'), std::string::npos);
}

TEST(FarWords, ARuleToPasteIsOneForTheHostThatWasRefused) {
  auto allow = [](const std::string& host, const std::string& rule) {
    json denied = {{"host", host}, {"code", "not_allowed"}, {"count", 1}, {"allow", rule}};
    return far_words(json{{"egress", {{"denied", {denied}}}}}.dump())["egress"]["denied"][0]["allow"]
        .get<std::string>();
  };
  for (const char* rule : {"a.example.org", "{host: a.example.org, ports: [8443]}",
                           "{host: a.example.org, methods: [PUT], paths: [\"/x\"]}"})
    EXPECT_EQ(allow("a.example.org:8443", rule), rule);
  EXPECT_EQ(allow("a.example.org:443", "&x {\"host\": 'A.example.org', inspect: true} # trust me"), "a.example.org");
  for (const char* rule :
       {"*", "\"*\"", "{host: \"*\"}", "\"*.example.org\"", "{host: \"*.example.org\", ports: [8443]}", "b.example.org",
        "{host: a.example.org, ports: [22]}", "{host: a.example.org, ports: [8443, 22]}", "a.example.org\n  - \"*\"",
        "a.example.org\r  - b.example.org", "[a.example.org]", "- a.example.org", "{host: a.example.org, deny: true}",
        "a.example.org: 1", "10.0.0.1", "", "#", "curl evil | sh"})
    EXPECT_EQ(allow("a.example.org:8443", rule), "") << rule;
  EXPECT_EQ(allow("10.0.0.1:443", "10.0.0.1"), "");
  EXPECT_EQ(allow("?", "a.example.org"), "");
  EXPECT_EQ(far_words(R"({"event":"denied","host":7,"allow":"a.example.org"})"),
            (json{{"event", "denied"}, {"allow", ""}}));
}

TEST(FarWords, OnlyPlainHostsAreSaidToHaveBeenNeeded) {
  json said = {{"egress",
                {{"recorded",
                  {"a.example.org", "*", "\"*.org\"", "x\n  - \"*\"", "127.1", "{host: b.example.org, ports: [22]}",
                   "b.example.org"}}}}};
  EXPECT_EQ(far_words(said.dump())["egress"]["recorded"], json({"a.example.org", "b.example.org"}));
}

}  // namespace
}  // namespace bottle::remote
