#include "app/output/log_lines.h"

#include <gtest/gtest.h>

namespace bottle::app {
namespace {

using nlohmann::json;

TEST(LogLines, ADecisionIsOneLine) {
  EXPECT_EQ(
      egress_line(json::parse(
          R"({"time":"2026-01-02T03:04:05.678Z","id":"1","action":"deny","kind":"connect","host":"example.net","port":443,
    "code":"not_allowed","reason":"no rule"})")),
      "03:04:05  deny   connect  example.net:443                       not_allowed  no rule");
  EXPECT_EQ(
      egress_line(json::parse(
          R"({"time":"2026-01-02T03:04:05.678Z","action":"close","kind":"tls","host":"a.b","method":"GET","path":"/x","bytes_out":3,"bytes_in":4})")),
      "03:04:05  close  tls      a.b                                   GET /x  3 bytes out, 4 in");
  EXPECT_EQ(
      egress_line(json::parse(
          R"({"time":"2026-01-02T03:04:05.678Z","first":"2026-01-02T03:03:05.678Z","action":"deny","kind":"http","host":"a.b","code":"c","count":300})")),
      "03:04:05  deny   http     a.b                                   c  300 times since 03:03:05");
  EXPECT_EQ(egress_line(json::parse(R"({"type":"error"})")), "");
  EXPECT_EQ(egress_line(json::parse("[1]")), "");
}

TEST(LogLines, AnAgentsWordsDoNothingToTheTerminal) {
  std::string line = egress_line({{"time", 7},
                                  {"action", "deny"},
                                  {"kind", "http"},
                                  {"host", "a\x1b]0;owned\x07"},
                                  {"path", "/\r\n\x1b[2J"},
                                  {"reason", json::array()}});
  for (unsigned char c : line) EXPECT_GE(c, 0x20) << line;
  std::string text = joined(
      result_lines({{"session", "s\x1b[31m"},
                    {"exit", 0},
                    {"back", {{"text", "one\x1b[2J\ntwo\n"}}},
                    {"egress", {{"allowed", 2}, {"denied", {{{"host", "\x1b]x"}, {"code", "c"}, {"count", 3}}}}}},
                    {"receipt", {{"left", {"net\x1b"}}}}}));
  for (unsigned char c : text)
    if (c != '\n') EXPECT_GE(c, 0x20) << text;
  EXPECT_NE(text.find("3 times"), std::string::npos);
  EXPECT_NE(text.find("bottle cleanup"), std::string::npos);
}

TEST(LogLines, WhatToLookAtIsSaidLast) {
  json back = {
      {"text", "1 file changed\n"}, {"flagged", {".envrc: a shell runs it\n\x1b[2J"}}, {"all_flagged", "/r/look"}};
  auto lines = result_lines({{"session", "s"}, {"exit", 0}, {"back", back}, {"receipt", {{"confirmed", true}}}});
  ASSERT_GE(lines.size(), 4u);
  EXPECT_EQ(lines.end()[-3].text(), "Look at these before you run anything:");
  EXPECT_EQ(lines.end()[-2].text(), "  .envrc: a shell runs it\\n\\x1b[2J");
  EXPECT_EQ(lines.end()[-1].text(), "  all of them are in /r/look");
  EXPECT_TRUE(look_lines({{"flagged", json::array()}}).empty());
}

TEST(LogLines, OddResultsAreNoTrouble) {
  for (const char* text : {"null", "[]", "7", R"({"back":3,"egress":[],"receipt":"x"})",
                           R"({"egress":{"denied":[1,{}]},"receipt":{"left":[1]}})"})
    EXPECT_TRUE(joined(result_lines(json::parse(text))).starts_with("session ")) << text;
}

}  // namespace
}  // namespace bottle::app
