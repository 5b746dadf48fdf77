#include "session/audit/egress_summary.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

namespace bottle::session {
namespace {

// The result of a remote session is one frame. An agent that requests many long names must not make it too long to
// send.
TEST(EgressSummary, FitsIntoAFrame) {
  Clients clients(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  EgressSummary summary;
  std::string label(60, 'a'), name = label + "." + label + "." + label + ".n";
  for (int i = 0; i < 20000; ++i) {
    std::string host = name + std::to_string(i) + ".example.org";
    summary.add({.action = wire::DecisionAction::deny,
                 .kind = wire::DecisionKind::connect,
                 .host = host,
                 .port = 8443,
                 .method = "GET",
                 .path = "/" + std::string(199, 'p'),
                 .code = "not_allowed",
                 .lacks = policy::Lacks::path},
                clients);
    summary.add({.action = wire::DecisionAction::allow, .kind = wire::DecisionKind::connect, .host = host}, clients);
  }
  wire::SessionResult result;
  result.egress = wire::EgressResult{summary.denied(), summary.secrets(), 1, summary.recorded({})};
  EXPECT_FALSE(result.egress->denied.empty());
  EXPECT_FALSE(result.egress->recorded->empty());
  std::string text = wire::encode(result);
  EXPECT_LT(text.size(), 700u << 10);
  auto read = wire::decode<wire::SessionResult>(text, wire::From::foreign);
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->egress->denied.size(), result.egress->denied.size());
}

// Whatever names the agent requests, and in whatever order, the hosts that were refused most often stay in the list.
TEST(EgressSummary, KeepsTheHostsThatWereRefusedMostOften) {
  Clients clients(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  EgressSummary summary;
  auto refuse = [&](const std::string& host, uint64_t count = 1) {
    summary.add({.action = wire::DecisionAction::deny,
                 .kind = wire::DecisionKind::connect,
                 .host = host,
                 .code = "not_allowed",
                 .count = count},
                clients);
  };
  auto count_of = [&](const std::string& host) -> uint64_t {
    for (const auto& each : summary.denied())
      if (each.host == host) return each.count;
    return 0;
  };
  for (int i = 0; i < 1000; ++i) refuse("a.example");
  for (int i = 0; i < 300; ++i) refuse("b" + std::to_string(i) + ".example", 2);
  EXPECT_EQ(count_of("a.example"), 1000u);
  for (int i = 0; i < 300; ++i) {
    refuse("c.example");
    refuse("d" + std::to_string(i) + ".example");
  }
  EXPECT_EQ(summary.denied().size(), 300u);
  EXPECT_EQ(count_of("a.example"), 1000u);
  EXPECT_EQ(count_of("c.example"), 300u);
  EXPECT_EQ(count_of("d299.example"), 1u) << "no number is too high";
}

TEST(EgressSummary, SuggestsTheRuleThatIsMissing) {
  Clients clients(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  auto suggested = [&](std::optional<policy::Lacks> lacks, const std::string& reason) {
    EgressSummary summary;
    summary.add({.action = wire::DecisionAction::deny,
                 .kind = wire::DecisionKind::http,
                 .host = "a.example.org",
                 .port = 443,
                 .method = "GET",
                 .path = "/a",
                 .code = "not_allowed",
                 .reason = reason,
                 .lacks = lacks},
                clients);
    return summary.denied().at(0).allow;
  };
  using policy::Lacks;
  EXPECT_EQ(suggested(Lacks::host, "any words"), "a.example.org");
  EXPECT_EQ(suggested(Lacks::port, "any words"), "a.example.org");
  EXPECT_EQ(suggested(Lacks::method, "any words"), "{host: a.example.org, methods: [GET], paths: [\"/a\"]}");
  EXPECT_EQ(suggested(Lacks::path, "***"), "{host: a.example.org, methods: [GET], paths: [\"/a\"]}");
  for (auto lacks : {std::optional(Lacks::query), std::optional(Lacks::header), std::optional(Lacks::nothing), {}})
    EXPECT_EQ(suggested(lacks, "no rule names this host"), "") << "no rule would allow exactly this";
}

TEST(EgressSummary, ReportsInstructionsInAnswers) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  UniqueFd launcher(ends[1]);
  Clients clients{UniqueFd(ends[0])};
  EgressSummary summary;
  wire::Decision decision{.action = wire::DecisionAction::allow,
                          .kind = wire::DecisionKind::http,
                          .host = "site.test",
                          .code = "injection"};
  decision.reason = "the answer gives the agent a new role";
  for (int i = 0; i < 200; ++i) summary.add(decision, clients);
  clients.drain(std::chrono::milliseconds(0));
  std::string text(1 << 20, '\0');
  ssize_t size = recv(launcher.get(), text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  std::string warning = "the answer gives the agent a new role, from site.test; the agent may have read it";
  size_t count = 0;
  for (size_t at = 0; (at = text.find(warning, at)) != text.npos; ++at) ++count;
  EXPECT_EQ(count, 50u) << "the agent must not fill the terminal";
}

}  // namespace
}  // namespace bottle::session
