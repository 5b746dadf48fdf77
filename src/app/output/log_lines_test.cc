#include "app/output/log_lines.h"

#include <gtest/gtest.h>

namespace bottle::app {
namespace {

TEST(LogLines, ADecisionIsOneLine) {
  EXPECT_EQ(egress_line({.time = "2026-01-02T03:04:05.678Z",
                         .id = "1",
                         .action = wire::DecisionAction::deny,
                         .kind = wire::DecisionKind::connect,
                         .host = "example.net",
                         .port = 443,
                         .code = "not_allowed",
                         .reason = "no rule"})
                .text(),
            "03:04:05  deny   connect  example.net:443                       not_allowed  no rule");
  EXPECT_EQ(egress_line({.time = "2026-01-02T03:04:05.678Z",
                         .action = wire::DecisionAction::close,
                         .kind = wire::DecisionKind::tls,
                         .host = "a.b",
                         .method = "GET",
                         .path = "/x",
                         .bytes = wire::Decision::Totals{3, 4}})
                .text(),
            "03:04:05  close  tls      a.b                                   GET /x  3 bytes out, 4 in");
  EXPECT_EQ(egress_line({.time = "2026-01-02T03:04:05.678Z",
                         .action = wire::DecisionAction::deny,
                         .kind = wire::DecisionKind::http,
                         .host = "a.b",
                         .code = "c",
                         .count = 300,
                         .first = "2026-01-02T03:03:05.678Z"})
                .text(),
            "03:04:05  deny   http     a.b                                   c  300 times since 03:03:05");
}

TEST(LogLines, TextOfAnAgentHasNoEffectOnTheTerminal) {
  std::string line = egress_line({.action = wire::DecisionAction::deny,
                                  .kind = wire::DecisionKind::http,
                                  .host = "a\x1b]0;owned\x07",
                                  .path = "/\r\n\x1b[2J"})
                         .text();
  for (unsigned char c : line) EXPECT_GE(c, 0x20) << line;
  wire::SessionResult result{.session = "s\x1b[31m", .exit = 0, .back = wire::WorkResult{.text = "one\x1b[2J\ntwo\n"}};
  result.egress.emplace().denied = {{"\x1b]x", "c", 3, ""}};
  result.receipt.left = {"net\x1b"};
  std::string text = joined(result_lines(result));
  for (unsigned char c : text)
    if (c != '\n') EXPECT_GE(c, 0x20) << text;
  EXPECT_NE(text.find("3 times"), std::string::npos);
  EXPECT_NE(text.find("bottle cleanup"), std::string::npos);
}

TEST(LogLines, FilesToInspectComeLast) {
  wire::SessionResult result{.session = "s", .exit = 0};
  result.receipt.confirmed = true;
  result.back = wire::WorkResult{.text = "1 file changed\n"};
  result.back->sorted = wire::ReceivedWork{.flagged = {".envrc: a shell runs it\n\x1b[2J"}, .all_flagged = "/r/look"};
  auto lines = result_lines(result);
  ASSERT_GE(lines.size(), 4u);
  EXPECT_EQ(lines.end()[-3].text(), "Look at these before you run anything:");
  EXPECT_EQ(lines.end()[-2].text(), "  .envrc: a shell runs it\\n\\x1b[2J");
  EXPECT_EQ(lines.end()[-1].text(), "  all of them are in /r/look");
  EXPECT_TRUE(inspection_lines({.sorted = wire::ReceivedWork()}).empty());
}

TEST(LogLines, AnEmptyResultIsShown) { EXPECT_TRUE(joined(result_lines({})).starts_with("session ")); }

}  // namespace
}  // namespace bottle::app
