// Tests changes of limits while the agent works.
#include <gtest/gtest.h>

#include "session/policy/policy_change_test.h"

namespace bottle::session {
namespace {

using wire::Quantity;

TEST(ChangedLimits, ChangeTheRulesOfAHostOrTheSession) {
  wire::GuardEgress egress;
  egress.allow = {{.host = "*.a.test", .limit = {{5}}}, {.host = "b.a.test"}, {.host = "c.test", .deny = true}};
  auto changed = limits_after(egress, "*.A.test", {{Quantity::requests, 10}, {Quantity::tokens, 7}});
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->allow[0].limit, (wire::GuardLimit{{10, 0, 0, 7, 0}}));
  EXPECT_TRUE(changed->allow[0].inspect && changed->allow[0].reads_usage) << "tokens are read from answers";
  EXPECT_FALSE(changed->allow[1].limit.any()) << "another rule keeps its limit";
  changed = limits_after(*changed, "*.a.test", {{Quantity::requests, 0}});
  EXPECT_EQ(changed->allow[0].limit.of(Quantity::requests), 0u);
  EXPECT_EQ(changed->allow[0].limit.of(Quantity::tokens), 7u);
  changed = limits_after(egress, "", {{Quantity::names, 3}});
  EXPECT_EQ(changed->limit.of(Quantity::names), 3u);
  EXPECT_EQ(changed->allow, egress.allow);
}

TEST(ChangedLimits, AWiderPatternChangesTheNarrowerRulesOfABroker) {
  wire::GuardEgress egress;
  egress.allow = {{.host = "b.a.test", .limit = {{5}}}, {.host = "c.test", .limit = {{5}}}};
  auto changed = limits_after(egress, "*.a.test", {{Quantity::requests, 10}});
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->allow[0].limit.of(Quantity::requests), 10u);
  EXPECT_EQ(changed->allow[1].limit.of(Quantity::requests), 5u);
}

// A denial must not loosen anything: the limit also counts hosts that another rule allows.
TEST(ChangedLimits, ADenialKeepsTheSettingsOfTheRulesThatItReplaces) {
  wire::GuardEgress egress;
  egress.allow = {{.host = "*.a.test", .on_secret = policy::OnSecret::redact, .limit = {{5, 7}}, .reads_usage = true},
                  {.host = "*.a.test", .inspect = true, .on_secret = policy::OnSecret::block, .limit = {{3}}},
                  {.host = "b.a.test"}};
  const wire::GuardRule denial{.host = "*.a.test",
                               .inspect = true,
                               .deny = true,
                               .on_secret = policy::OnSecret::block,
                               .limit = {{3, 7}},
                               .reads_usage = true};
  egress.allow = *rules_after(egress.allow, deny("*.a.test"));
  ASSERT_EQ(egress.allow, (std::vector<wire::GuardRule>{egress.allow[0], denial}));
  EXPECT_EQ(*rules_after(egress.allow, deny("*.a.test")), egress.allow) << "a second denial changes nothing";
  auto raised = limits_after(egress, "*.a.test", {{Quantity::requests, 10}});
  ASSERT_TRUE(raised);
  EXPECT_EQ(raised->allow[1].limit, (wire::GuardLimit{{10, 7}}));
  auto again = *rules_after(egress.allow, allow("1", {.host = "*.a.test"}));
  ASSERT_EQ(again.size(), 2u);
  auto expected = denial;
  expected.deny = false;
  EXPECT_EQ(again[1], expected);
}

TEST(ChangedLimits, AServiceOfTheLocalNetworkKeepsItsSettings) {
  const wire::GuardRule own{.host = "nas.bottle", .ports = {443}, .methods = {"GET"}, .inspect = true};
  for (bool have_routes : {false, true}) {
    const Services services{.rules = {own}, .have_routes = have_routes};
    std::vector<wire::GuardRule> rules = {{.host = "nas.bottle",
                                           .ports = {443},
                                           .paths = {"/admin"},
                                           .on_secret = policy::OnSecret::block,
                                           .limit = {{5}}}};
    rules = *rules_after(rules, deny("nas.bottle"), services);
    rules = *rules_after(rules, allow("1", {.host = "nas.bottle"}), services);
    auto expected = own;
    expected.on_secret = policy::OnSecret::block;
    expected.limit = {{5}};
    EXPECT_EQ(rules, std::vector{expected}) << have_routes;
    EXPECT_EQ(*rules_after(rules, allow("1", {.host = "nas.bottle"}), services), rules);
  }
}

TEST(ChangedLimits, AHostOfSshKeepsItsSettingsOrStaysDenied) {
  const Services services{.ssh = {{.host = "git.a.test", .port = 2222}}};
  auto denied = *rules_after({{.host = "*.a.test"}, {.host = "git.a.test", .limit = {{5}}}}, deny("git.a.test"));
  EXPECT_FALSE(rules_after(denied, allow("1", {.host = "git.a.test", .ports = {2222}}), services));
  auto again = *rules_after(denied, allow("1", {.host = "git.a.test"}), services);
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[1], (wire::GuardRule{.host = "git.a.test", .limit = {{5}}}));
}

// Most rules of presets are like this one. A rule in its place would allow any method and path.
TEST(ChangedLimits, AHostOfSshNeedsNoRuleForWhatOnlyItsRemovedRuleAllowed) {
  const Services services{.ssh = {{.host = "git.a.test", .port = 22}}};
  const std::vector<wire::GuardRule> other = {{.host = "b.test"}};
  auto denied = other;
  denied.push_back({.host = "git.a.test", .methods = {"GET"}, .inspect = true, .reads_usage = true});
  denied = *rules_after(denied, deny("git.a.test"));
  for (const std::vector<uint16_t>& ports : {std::vector<uint16_t>{}, {22}}) {
    auto again = rules_after(denied, allow("1", {.host = "git.a.test", .ports = ports}), services);
    ASSERT_TRUE(again) << again.error().what;
    EXPECT_EQ(*again, other);
  }
  // Here, the wider rule would now apply to the host, without the inspection.
  denied.push_back({.host = "*.a.test"});
  EXPECT_FALSE(rules_after(denied, allow("1", {.host = "git.a.test", .ports = {22}}), services));
}

TEST(ChangedLimits, AnAddressOfSshNeedsNoSettingsBecauseItCanHaveNoRule) {
  const Services services{.ssh = {{.host = "10.0.0.5", .port = 22}}};
  auto denied = *rules_after({{.host = "10.0.0.5", .inspect = true, .limit = {{5}}}}, deny("10.0.0.5"));
  for (const std::vector<uint16_t>& ports : {std::vector<uint16_t>{}, {22}}) {
    auto again = rules_after(denied, allow("1", {.host = "10.0.0.5", .ports = ports}), services);
    ASSERT_TRUE(again) << again.error().what;
    EXPECT_TRUE(again->empty());
  }
}

TEST(ChangedLimits, AreRefusedIfTheGuardWouldRefuseThem) {
  wire::GuardEgress egress;
  egress.allow = {{.host = "a.test"}, {.host = "b.test", .deny = true}};
  EXPECT_FALSE(limits_after(egress, "other.test", {{Quantity::requests, 1}}));
  EXPECT_FALSE(limits_after(egress, "b.test", {{Quantity::requests, 1}}));
  EXPECT_FALSE(limits_after(egress, "", {{Quantity::names, manifest::kMostNames + 1}}));
  EXPECT_FALSE(limits_after(egress, "", {{Quantity::cost, 1}})) << "there are no prices";
  egress.prices = {{"m", 1, 2, 1, 1}};
  EXPECT_TRUE(limits_after(egress, "", {{Quantity::cost, 1}}));
}

}  // namespace
}  // namespace bottle::session
