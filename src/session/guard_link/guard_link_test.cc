#include "session/guard_link/guard_link.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/files/file.h"
#include "session/guard_link/framed_test.h"

namespace bottle::session {
namespace {

// The new guard serves as soon as it is ready, so a decision may arrive together with Ready.
TEST(GuardLink, KeepsTheDecisionsThatArriveTogetherWithReady) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd guard(ends[0]);
  GuardLink link{docker::Attached(UniqueFd(ends[1]), "")};
  auto decision = [](const char* host) {
    return wire::Decision{.action = wire::DecisionAction::allow, .kind = wire::DecisionKind::connect, .host = host};
  };
  ASSERT_TRUE(write_all(guard.get(), framed(decision("before.test")) + framed(wire::Ready{"10.0.0.2:3128", "csr"}) +
                                         framed(decision("after.test")) + framed(wire::GuardComplaint{"later"})));
  auto ready = link.await_ready(5000);
  ASSERT_TRUE(ready) << ready.error().what;
  EXPECT_EQ(ready->csr, "csr");
  auto early = link.take_early();
  ASSERT_EQ(early.size(), 3u);
  EXPECT_EQ(std::get<wire::Decision>(early[0]).host, "before.test");
  EXPECT_EQ(std::get<wire::Decision>(early[1]).host, "after.test");
  EXPECT_TRUE(std::holds_alternative<wire::GuardComplaint>(early[2]));
  EXPECT_TRUE(link.take_early().empty());
  ASSERT_TRUE(write_all(guard.get(), framed(decision("last.test"))));
  auto later = link.read();
  ASSERT_TRUE(later && later->size() == 1);
  EXPECT_EQ(std::get<wire::Decision>((*later)[0]).host, "last.test");
}

// Without the rest of a configuration, the guard would keep the rules of the one before it.
TEST(GuardLink, EndsTheGuardIfAMessageCannotBeSentWhole) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd guard(ends[0]);
  timeval patience{0, 1000};
  ASSERT_EQ(::setsockopt(ends[1], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0);
  GuardLink link{docker::Attached(UniqueFd(ends[1]), "")};
  wire::GuardConfig config;
  config.ca_bundle = std::string(4 << 20, 'x');
  EXPECT_FALSE(link.send(wire::Configure{config}));
  std::string part(1 << 16, '\0');
  ssize_t n;
  while ((n = ::recv(guard.get(), part.data(), part.size(), MSG_DONTWAIT)) > 0) continue;
  EXPECT_EQ(n, 0) << "its stdin ends";
  std::string line = framed(wire::Decision{.action = wire::DecisionAction::allow, .host = "last.test"});
  ASSERT_TRUE(write_all(guard.get(), line));
  EXPECT_TRUE(link.read()) << "what it still says is read";
}

TEST(GuardConfig, SaysWhichValuesTheAgentHas) {
  using Kind = plan::Source::Kind;
  plan::Plan plan;
  plan.env = {{"DB_URL", {Kind::env, "DB"}}, {"NAME", {Kind::literal, "TOKEN"}}};
  plan.secrets = {{.name = "db", .source = {Kind::env, "DB"}},
                  {.name = "token", .source = {Kind::env, "TOKEN"}},
                  {.name = "own", .source = {Kind::env, "OWN"}, .exposed = true}};
  auto config = guard_config(plan, {.secrets = {{"db", "value"}, {"token", "other"}, {"own", "third"}}});
  ASSERT_EQ(config.secrets.size(), 3u);
  EXPECT_TRUE(config.secrets[0].exposed);
  EXPECT_FALSE(config.secrets[1].exposed);
  EXPECT_TRUE(config.secrets[2].exposed);
}

TEST(GuardRule, SaysForWhichHostsTokensAreCounted) {
  EXPECT_FALSE(guard_rule({.host = "a.test", .limit = {.requests = 1}}).reads_usage);
  EXPECT_TRUE(guard_rule({.host = "a.test", .limit = {.tokens = 1}}).reads_usage);
  EXPECT_TRUE(guard_rule({.host = "a.test", .limit = {.cost = 0.5}}).reads_usage);
  EXPECT_TRUE(guard_rule({.host = "a.test", .preset = "openai@1"}).reads_usage);
  EXPECT_FALSE(guard_rule({.host = "a.test", .preset = "npm@1"}).reads_usage);
  EXPECT_EQ(guard_limit({1, 2, 3, 4, 0.25}), (wire::GuardLimit{{1, 2, 3, 4, 250'000}}));
}

}  // namespace
}  // namespace bottle::session
