#include "app/output/show.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bottle::app {
namespace {

std::string shown(const wire::SessionResult& result) {
  testing::internal::CaptureStderr();
  show_result(result, {});
  return testing::internal::GetCapturedStderr();
}

TEST(Show, BlockedHostsAreFewAndFilesToInspectComeLast) {
  wire::SessionResult result{.session = "s", .bottle = "b"};
  result.back = wire::WorkResult{.text = "1 file changed\n", .sorted = wire::ReceivedWork{.flagged = {".envrc: why"}}};
  auto& egress = result.egress.emplace();
  for (uint64_t i = 0; i < 9000; ++i) egress.denied.push_back({"h" + std::to_string(i) + ":443", "not_allowed", i, ""});
  result.receipt.confirmed = true;
  std::string text = shown(result);
  EXPECT_LT(std::ranges::count(text, '\n'), 30) << text;
  EXPECT_NE(text.find("  h8999:443  (not_allowed, 8999×)\n"), std::string::npos) << "most frequent first\n" << text;
  EXPECT_NE(text.find("  and 8988 more\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("Look at these before you run anything:\n  .envrc: why\n")) << text;
}

TEST(Show, TextOfStrangersIsShownAsLines) {
  std::string evil = "x\nTake it: curl | sh\x1b[2J\u202e";
  wire::SessionResult result{.session = evil, .bottle = evil};
  result.back = wire::WorkResult{.text = "ours\n", .sorted = wire::ReceivedWork{.flagged = {evil}}, .error = evil};
  result.egress = wire::EgressResult{{{evil, evil, 1, evil}}, {{evil, "secret_to_model", evil}}, 0, {{evil}}};
  result.receipt.left = {evil};
  result.receipt.vm = wire::VmReceipt{evil, wire::VmKept{evil}};
  std::string text = shown(result);
  EXPECT_EQ(text.find("\nTake it"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
  EXPECT_EQ(text.find("\u202e"), std::string::npos) << text;
}

// The reason may be that the supervisor died or that the disk was full.
TEST(Show, WorkThatComesHomeLaterDoesNotBlameTheSupervisor) {
  session::Swept swept;
  swept.receipt.session = "s";
  swept.back = wire::WorkResult{.text = "1 file changed\n"};
  testing::internal::CaptureStderr();
  show_swept(swept, {});
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "bottle: work of session s, which did not come home when the session ended:\n1 file changed\n");
}

TEST(Show, QuietAlsoHidesWhatOtherSessionsLeft) {
  session::Swept swept;
  swept.receipt.session = "s";
  swept.receipt.left = {"container bottle-s-agent: the engine does not answer"};
  swept.back = wire::WorkResult{.text = "1 file changed\n"};
  testing::internal::CaptureStderr();
  show_swept(swept, {.quiet = true});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

std::string told(const wire::Event& event) {
  testing::internal::CaptureStderr();
  show_event(event, {});
  return testing::internal::GetCapturedStderr();
}

TEST(Show, AReachedLimitIsShownWithTheCommandThatRaisesIt) {
  EXPECT_EQ(told(wire::LimitReached{"s1", "*.a.org", "requests", 100}),
            "bottle: the limit of requests (100) is reached for *.a.org. The guard refuses further requests until you "
            "raise it, for example with: bottle allow s1 '*.a.org' --limit requests=200\n");
  EXPECT_EQ(told(wire::LimitReached{"s1", "", "cost", 2.5}),
            "bottle: the limit of cost (2.50) is reached for the session. The guard refuses further requests until you "
            "raise it, for example with: bottle allow s1 --limit cost=5.00\n");
  // The command must be one that `bottle allow` takes.
  EXPECT_TRUE(told(wire::LimitReached{"s1", "", "cost", 0.002}).ends_with("--limit cost=0.004\n"));
  EXPECT_TRUE(told(wire::LimitReached{"s1", "", "names", 3000}).ends_with("--limit names=4000\n"));
  EXPECT_TRUE(told(wire::LimitReached{"s1", "", "names", 4000}).ends_with("until you raise it.\n"));
  EXPECT_TRUE(told(wire::LimitReached{"s1", "", "cost", 800000}).ends_with("--limit cost=1000000.00\n"));
  for (const auto& evil :
       {wire::LimitReached{"s1; rm x", "a.org", "requests", 1}, wire::LimitReached{"s1", "$(rm x)", "requests", 1},
        wire::LimitReached{"s1", "", "a\nb", 1}, wire::LimitReached{"--save", "a.org", "requests", 1}})
    EXPECT_EQ(told(evil).find("bottle allow"), std::string::npos) << told(evil);
}

TEST(Show, UsageIsShort) {
  wire::SessionResult result{.session = "s", .bottle = "b"};
  auto& used = result.egress.emplace().used;
  used.push_back({"model.org", 3, 4096, 2112, 345, 0.126});
  for (int i = 0; i < 20; ++i) used.push_back({"h" + std::to_string(i), 1, 9, 0, 0, 0});
  std::string text = shown(result);
  EXPECT_NE(text.find("Used:\n  model.org: 3 requests, 4096 bytes up, 2112 tokens in, 345 out, about 0.13\n"
                      "  h0: 1 request, 9 bytes up\n"),
            text.npos)
      << text;
  EXPECT_NE(text.find("  and 13 more hosts\n"), text.npos) << text;
}

}  // namespace
}  // namespace bottle::app
