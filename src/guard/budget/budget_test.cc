#include "guard/budget/budget.h"

#include <gtest/gtest.h>

namespace bottle::guard {
namespace {

using wire::GuardLimit, wire::GuardRule, wire::HostUsage, wire::Quantity;

GuardLimit limit(std::initializer_list<std::pair<Quantity, uint64_t>> amounts) {
  GuardLimit made;
  for (auto [quantity, most] : amounts) made.of(quantity) = most;
  return made;
}

struct Egress : wire::GuardEgress {
  Egress& session(const GuardLimit& most) { return limit = most, *this; }
  Egress& rule(const std::string& host, const GuardLimit& most) {
    allow.push_back(GuardRule{.host = host, .limit = most});
    return *this;
  }
  std::vector<Limit> limits() const { return Limits::compile(*this, {})->list(); }
};

std::string refused(Budget& budget, const std::string& host, uint64_t bytes = 0) {
  auto admission = budget.admit({host, false}, bytes);
  EXPECT_EQ(admission.account == nullptr, !admission.reason.empty());
  return admission.reason;
}

TEST(Budget, RefusesRequestsBeyondTheLimit) {
  Budget budget;
  budget.use(
      Egress().session(limit({{Quantity::requests, 3}})).rule("a.test", limit({{Quantity::requests, 2}})).limits());
  EXPECT_EQ(refused(budget, "a.test"), "");
  EXPECT_EQ(refused(budget, "a.test"), "");
  EXPECT_EQ(refused(budget, "a.test"), "the limit of 2 requests for a.test is reached, until the operator raises it");
  EXPECT_EQ(refused(budget, "b.test"), "") << "what is refused does not count";
  EXPECT_EQ(refused(budget, "b.test"), "the session's limit of 3 requests is reached, until the operator raises it");
  ASSERT_EQ(budget.take_hits().size(), 2u);
  refused(budget, "a.test");
  EXPECT_TRUE(budget.take_hits().empty()) << "each is said once";
}

TEST(Budget, RaisingALimitLetsMoreThroughAndKeepsTheCounts) {
  Budget budget;
  budget.use(Egress().rule("*.test", limit({{Quantity::requests, 1}})).limits());
  EXPECT_EQ(refused(budget, "a.test"), "");
  EXPECT_NE(refused(budget, "b.test"), "");
  EXPECT_EQ(budget.take_hits().size(), 1u);
  budget.use(Egress().rule("*.test", limit({{Quantity::requests, 2}})).limits());
  EXPECT_EQ(refused(budget, "b.test"), "");
  EXPECT_NE(refused(budget, "a.test"), "");
  EXPECT_EQ(budget.take_hits().size(), 1u) << "a limit that was raised is said again";
  budget.use(Egress().session(limit({{Quantity::requests, 2}})).limits());
  EXPECT_NE(refused(budget, "a.test"), "") << "a new limit counts what was used before";
  budget.use({});
  EXPECT_EQ(refused(budget, "a.test"), "");
}

TEST(Budget, AnAddressHasTheSameLimitsAfterAChange) {
  Budget budget;
  budget.use(Egress().rule("*", limit({{Quantity::requests, 1}})).limits());
  for (int i = 0; i < 2; ++i) EXPECT_NE(budget.admit({"192.0.2.7", true}, 0).account, nullptr);
  budget.use(Egress().rule("*", limit({{Quantity::requests, 2}})).limits());
  EXPECT_EQ(refused(budget, "a.test"), "") << "the pattern covers no addresses";
}

TEST(Budget, CountsBytesExactly) {
  Budget budget;
  budget.use(Egress().rule("a.test", limit({{Quantity::bytes_up, 100}})).limits());
  EXPECT_NE(refused(budget, "a.test", 101), "");
  EXPECT_EQ(budget.admit({"a.test", false}, 40, 61).account, nullptr) << "a body that is too long does not begin";
  auto& account = *budget.admit({"a.test", false}, 40).account;
  EXPECT_EQ(budget.bytes_left(account), 60u);
  EXPECT_FALSE(budget.add_bytes(account, 61));
  EXPECT_EQ(budget.bytes_left(account), 60u);
  EXPECT_TRUE(budget.add_bytes(account, 60));
  EXPECT_FALSE(budget.add_bytes(account, 1));
  EXPECT_TRUE(budget.add_bytes(account, 0)) << "a limit that is reached ends nothing that sends no more";
  EXPECT_EQ(budget.end_by_bytes(account),
            "the limit of 100 bytes up for a.test is reached, until the operator raises it");
  EXPECT_NE(refused(budget, "a.test", 0), "");
  EXPECT_EQ(budget.bytes_left(*budget.admit({"b.test", false}, 9).account), UINT64_MAX);
}

TEST(Budget, ATakenBackRequestDoesNotCountUnderNewLimitsEither) {
  Budget budget;
  budget.use(Egress().rule("a.test", limit({{Quantity::requests, 1}})).limits());
  auto& account = *budget.admit({"a.test", false}, 0).account;
  EXPECT_NE(refused(budget, "a.test"), "");
  budget.take_back_request(account);
  EXPECT_EQ(refused(budget, "a.test"), "");
  EXPECT_NE(refused(budget, "a.test"), "");
  budget.use(Egress().session(limit({{Quantity::requests, 1}})).limits());
  budget.take_back_request(account);
  EXPECT_EQ(refused(budget, "b.test"), "");
  EXPECT_EQ(account.used, (HostUsage{"a.test", 1, 0, 0, 0, 0, 0}));
}

TEST(Budget, CountsDistinctNames) {
  Budget budget;
  budget.use(Egress().rule("*.a.test", limit({{Quantity::names, 2}})).limits());
  for (const char* host : {"1.a.test", "2.a.test", "1.a.test", "2.a.test", "b.test"})
    EXPECT_EQ(refused(budget, host), "") << host;
  EXPECT_EQ(refused(budget, "3.a.test"), "the limit of 2 names for *.a.test is reached, until the operator raises it");
  EXPECT_EQ(refused(budget, "1.a.test"), "") << "known names go on";
}

TEST(Budget, ItsMemoryIsLimitedAndEveryNameCounts) {
  Budget budget;
  budget.use(Egress().rule("late.test", limit({{Quantity::requests, 1}})).limits());
  for (size_t i = 0; i < Budget::kMostHosts + 500; ++i) EXPECT_EQ(refused(budget, std::to_string(i) + ".test"), "");
  EXPECT_EQ(refused(budget, "late.test"), "");
  EXPECT_NE(refused(budget, "late.test"), "") << "a host with a limit of its own is always told apart";
  size_t hosts = 0, names = 0, requests = 0;
  for (std::vector<HostUsage> part; !(part = budget.take_changed()).empty();)
    for (const auto& each : part) ++hosts, names += each.names, requests += each.requests;
  EXPECT_EQ(hosts, Budget::kMostHosts + 2);
  EXPECT_EQ(names, Budget::kMostHosts + 501);
  EXPECT_EQ(requests, Budget::kMostHosts + 501);
  EXPECT_EQ(budget.take_hits().size(), 1u);
  EXPECT_FALSE(budget.has_news());
  budget.use(Egress().session(limit({{Quantity::names, Budget::kMostHosts + 501}})).limits());
  EXPECT_NE(refused(budget, "fresh.test"), "");
}

TEST(Budget, ResumesWithTheCountsOfAnEarlierGuard) {
  Budget budget;
  budget.resume({{"a.test", 1, 5, 100, 30, 4, 7}, {wire::kOtherHosts, 3, 4, 0, 0, 0, 0}});
  budget.use(Egress()
                 .session(limit({{Quantity::names, 5}, {Quantity::cost, 8}}))
                 .rule("a.test", limit({{Quantity::tokens, 40}}))
                 .limits());
  auto& account = *budget.admit({"a.test", false}, 0).account;
  EXPECT_EQ(refused(budget, "b.test"), "");
  EXPECT_EQ(refused(budget, "c.test"), "the session's limit of 5 names is reached, until the operator raises it");
  budget.add_tokens(account, {.input = 3, .cache_read = 2, .output = 1}, 0);
  EXPECT_EQ(refused(budget, "a.test"), "the limit of 40 tokens for a.test is reached, until the operator raises it");
  budget.add_tokens(account, {}, 1);
  EXPECT_EQ(refused(budget, "b.test"),
            "the session's limit of an estimated cost of 0.00 is reached, until the operator raises it");
  EXPECT_EQ(account.used, (HostUsage{"a.test", 1, 6, 100, 35, 5, 8}));
}

TEST(Limits, RulesWithTheSameHostShareTheSmallerLimit) {
  auto list = Egress()
                  .rule("a.test", limit({{Quantity::requests, 5}}))
                  .rule("a.test", limit({{Quantity::requests, 3}, {Quantity::names, 1}}))
                  .rule("b.test", {})
                  .limits();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].most, limit({{Quantity::requests, 3}, {Quantity::names, 1}}));
}

TEST(Limits, EstimatesTheCostByThePriceThatFitsBest) {
  Egress egress;
  egress.prices = {{"claude-*", 3, 15, 0.3, 4}, {"claude-small", 1, 2, 0.1, 1}, {"gpt-*", 2, 20, 1, 2}};
  auto limits = *Limits::compile(egress, {});
  TokenUsage usage{.input = 1000, .cache_read = 10, .cache_write = 100, .output = 1};
  EXPECT_EQ(limits.cost("claude-big", usage), 3000u + 3 + 400 + 15);
  EXPECT_EQ(limits.cost("claude-small", usage), 1000u + 1 + 100 + 2);
  EXPECT_EQ(limits.cost("claude-smaller", usage), limits.cost("claude-big", usage));
  EXPECT_EQ(limits.cost("unknown", usage), 3000u + 10 + 400 + 20) << "the highest of each kind";
  EXPECT_EQ(limits.cost("claude-small", {.cache_read = 1}), 1u) << "rounded up";
  EXPECT_EQ(Limits::compile(Egress(), {})->cost("claude-big", usage), 0u);
  egress.prices[0].input = -1;
  EXPECT_FALSE(Limits::compile(egress, {}));
}

TEST(Limits, ReadsUsageOnlyForHostsInTheRules) {
  Egress egress;
  egress.allow = {{.host = "model.test", .reads_usage = true}, {.host = "other.test"}};
  auto limits = *Limits::compile(egress, {*policy::HostPattern::compile("*.anthropic.test")});
  EXPECT_TRUE(limits.reads_usage({"model.test", false}));
  EXPECT_TRUE(limits.reads_usage({"api.anthropic.test", false}));
  EXPECT_FALSE(limits.reads_usage({"other.test", false}));
}

}  // namespace
}  // namespace bottle::guard
