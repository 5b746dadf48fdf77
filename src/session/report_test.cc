#include "session/report.h"

#include <gtest/gtest.h>

namespace bottle::session {
namespace {

TEST(Report, ACleanOneOpensTheGate) {
  auto report = read_report(R"({"ok":true,"probes":[{"name":"metadata","ok":true,"detail":"no route"}]})");
  ASSERT_TRUE(report) << report.error().what;
  EXPECT_EQ((*report)["ok"], true);
  EXPECT_EQ((*report)["probes"][0]["detail"], "no route");
}

// What a report says of itself counts for nothing without probes that passed.
TEST(Report, ItsOwnWordIsNotEnough) {
  for (const char* text :
       {R"({"ok":true})", R"({"ok":true,"probes":[]})",
        R"({"ok":true,"probes":[{"name":"a","ok":true},{"name":"b","ok":false,"detail":"way out"}]})",
        R"({"ok":false,"probes":[{"name":"a","ok":true}]})"}) {
    auto report = read_report(text);
    ASSERT_TRUE(report) << text;
    EXPECT_EQ((*report)["ok"], false) << text;
  }
  EXPECT_EQ(surprises(*read_report(
                R"({"ok":true,"probes":[{"name":"a","ok":true},{"name":"b","ok":false,"detail":"way out"}]})")),
            "b: way out");
}

// Each of these ended the supervisor with an exception before.
TEST(Report, WrongTypesAreRefused) {
  for (const char* text :
       {"", "[]", "7", "{}", R"({"ok":"yes"})", R"({"ok":1,"probes":[]})", R"({"ok":true,"probes":{}})",
        R"({"ok":true,"probes":"x"})", R"({"ok":true,"probes":[1]})", R"({"ok":true,"probes":[{"ok":true}]})",
        R"({"ok":true,"probes":[{"name":1,"ok":true}]})", R"({"ok":true,"probes":[{"name":"a","ok":"true"}]})",
        R"({"ok":true,"probes":[{"name":"a","ok":true,"detail":[]}]})", R"({"ok":false,"what":3})"}) {
    auto report = read_report(text);
    ASSERT_FALSE(report) << text;
    EXPECT_EQ(report.error().code, Code::protocol);
  }
}

TEST(Report, SpeaksToNoTerminal) {
  auto report =
      read_report(R"({"ok":false,"probes":[{"name":"a\u001b]0;x\u0007","ok":false,"detail":"\u009b31m\n"}]})");
  ASSERT_TRUE(report);
  EXPECT_EQ(surprises(*report), "a?]0;x?: ?31m?");
}

}  // namespace
}  // namespace bottle::session
