#include "session/policy/policy_change.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "session/policy/policy_change_test.h"

namespace bottle::session {
namespace {

const wire::PolicyChanged& changed(const wire::Event& event) { return std::get<wire::PolicyChanged>(event); }

// Provides a policy whose guard accepts every configuration while it is up.
class ChangedPolicy : public ::testing::Test {
 protected:
  wire::GuardConfig config;
  std::vector<wire::GuardConfig> sent;
  std::vector<wire::Event> told;
  bool up = true;
  LivePolicy policy{config,
                    {},
                    [this](const wire::GuardConfig& each) -> Result<> {
                      if (!up) return fail(Code::unavailable, "down");
                      sent.push_back(each);
                      return {};
                    },
                    [this](const wire::Event& event) { told.push_back(event); }};
};

TEST(LivePolicy, AddsRevokesAndForbids) {
  std::vector<wire::GuardRule> rules = {{.host = "a.example.org"}};
  rules = *rules_after(rules, allow("1", {.host = "New.Example.org", .ports = {8443}}));
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[1].host, "new.example.org");
  EXPECT_FALSE(rules[1].inspect);
  rules = *rules_after(rules, deny("a.example.org"));
  EXPECT_EQ(rules, std::vector<wire::GuardRule>({rules[0], {.host = "a.example.org", .deny = true}}));
  EXPECT_EQ(*rules_after(rules, deny("a.example.org")), rules) << "a second denial changes nothing";
  rules = *rules_after(rules, allow("1", {.host = "a.example.org", .methods = {"GET"}}));
  EXPECT_TRUE(rules.back().inspect);
  for (const auto& rule : rules) EXPECT_FALSE(rule.deny);
  for (const auto& bad : {allow("1", {.host = "*"}), allow("1", {.host = "10.0.0.1"}), allow("1", {.host = "a b"}),
                          allow("1", {.host = "a.org", .paths = {"x"}}), deny(""), wire::PolicyChange()})
    EXPECT_FALSE(rules_after(rules, bad)) << wire::encode(bad);
}

TEST(LivePolicy, AnAllowGivesAServiceOfTheLanItsOwnRuleBack) {
  const wire::GuardRule own{
      .host = "tracker.bottle", .ports = {80}, .methods = {"GET"}, .paths = {"/issues/**"}, .inspect = true};
  // On the far side and in a broker, the rule is in the list. A local guard makes it from its route.
  for (bool have_routes : {true, false}) {
    const Services lan{.rules = {own}, .have_routes = have_routes};
    std::vector<wire::GuardRule> rules = {{.host = "a.example.org"}};
    if (!have_routes) rules.push_back(own);
    auto denied = *rules_after(rules, deny("tracker.bottle"), lan);
    EXPECT_TRUE(denied.back().deny);
    EXPECT_EQ(*rules_after(denied, allow("1", {.host = "Tracker.bottle"}), lan), rules);
    EXPECT_EQ(*rules_after(rules, allow("1", {.host = "tracker.bottle"}), lan), rules);
    auto more = *rules_after(denied, allow("1", {.host = "tracker.bottle", .paths = {"/admin"}}), lan);
    ASSERT_EQ(more.size(), rules.size() + 1);
    EXPECT_EQ(more.back().ports, std::vector<uint16_t>{80});
    EXPECT_FALSE(more.back().deny);
    EXPECT_FALSE(rules_after(rules, allow("1", {.host = "tracker.bottle", .ports = {443}}), lan));
  }
}

// The guard treats these spellings as the same host.
TEST(LivePolicy, OtherSpellingsOfAHostAreTheSameHost) {
  std::vector<wire::GuardRule> rules = {{.host = "a.org"}, {.host = "*.b.org"}};
  for (auto [denied, allowed] : {std::pair("A.org.", "a.org"), std::pair("a.org", "A.org."), {"*.b.org.", "*.b.org"}}) {
    auto without = *rules_after(rules, deny(denied));
    ASSERT_EQ(without.size(), 2u);
    EXPECT_TRUE(without.back().deny);
    auto back = *rules_after(without, allow("1", {.host = allowed}));
    EXPECT_EQ(std::ranges::count(back, rules[0]) + std::ranges::count(back, rules[1]), 2) << allowed;
  }
  const Services services{.ssh = {{.host = "fd00::5", .port = 22}}};
  auto without = *rules_after(rules, deny("FD00:0::5"), services);
  EXPECT_EQ(*rules_after(without, allow("1", {.host = "fd00::5"}), services), rules);
  wire::GuardEgress egress;
  egress.allow = rules;
  EXPECT_EQ(limits_after(egress, "A.org.", {{wire::Quantity::requests, 3}})->allow[0].limit, (wire::GuardLimit{{3}}));
}

// A rule for the host would hide those of wider patterns, and allow requests that no check of the host key sees.
TEST(LivePolicy, AnAllowOfAHostOfSshOnlyUndoesItsDenial) {
  const Services services{.ssh = {{.host = "Git.example.org", .port = 2222}, {.host = "10.0.0.5"}}};
  const std::vector<wire::GuardRule> rules = {{.host = "*.example.org"}};
  for (const manifest::AllowRule& again : std::vector<manifest::AllowRule>{{.host = "git.example.org"},
                                                                           {.host = "git.example.org", .ports = {2222}},
                                                                           {.host = "10.0.0.5"},
                                                                           {.host = "10.0.0.5", .ports = {22}}}) {
    auto denied = *rules_after(rules, deny(again.host), services);
    ASSERT_EQ(denied.size(), 2u);
    auto allowed = rules_after(denied, allow("1", again), services);
    ASSERT_TRUE(allowed) << again.host << allowed.error().what;
    EXPECT_EQ(*allowed, rules) << again.host;
  }
  EXPECT_EQ(*rules_after(rules, allow("1", {.host = "git.example.org", .ports = {2222}}), services), rules);
  // Every other `allow` is about something other than ssh.
  for (const manifest::AllowRule& other :
       std::vector<manifest::AllowRule>{{.host = "git.example.org"},
                                        {.host = "git.example.org", .ports = {443}},
                                        {.host = "git.example.org", .ports = {2222}, .methods = {"GET"}},
                                        {.host = "a.org", .ports = {2222}}}) {
    auto more = *rules_after(rules, allow("1", other), services);
    ASSERT_EQ(more.size(), 2u);
    EXPECT_EQ(more[1].host, other.host);
  }
  for (const manifest::AllowRule& bad : std::vector<manifest::AllowRule>{
           {.host = "10.0.0.5", .ports = {80}}, {.host = "10.0.0.5", .methods = {"GET"}}, {.host = "10.0.0.6"}})
    EXPECT_FALSE(rules_after(rules, allow("1", bad), services)) << bad.host;
}

// The agent, the manifest and the record have the alias, and ssh asks the guard for the real name.
TEST(LivePolicy, TheAliasOfAHostOfSshStandsForItsRealName) {
  const Services services{.ssh = ssh_services({{.host = "git.example.org", .hostname = "203.0.113.5", .port = 2222}})};
  const std::vector<wire::GuardRule> rules = {{.host = "a.org"}};
  auto is_denied = [](const std::vector<wire::GuardRule>& allow) {
    return std::ranges::any_of(allow, [](const auto& rule) { return rule.deny && rule.host == "203.0.113.5"; });
  };
  for (const char* pattern : {"git.example.org", "Git.example.org.", "*.example.org"})
    EXPECT_TRUE(is_denied(*rules_after(rules, deny(pattern), services))) << pattern;
  EXPECT_FALSE(is_denied(*rules_after(rules, deny("www.example.org"), services)));
  for (const char* denied : {"git.example.org", "203.0.113.5"})
    for (const std::vector<uint16_t>& ports : {std::vector<uint16_t>{}, {2222}}) {
      auto again = rules_after(*rules_after(rules, deny(denied), services),
                               allow("1", {.host = "git.example.org", .ports = ports}), services);
      ASSERT_TRUE(again) << again.error().what;
      EXPECT_EQ(*again, rules) << denied;
    }
  EXPECT_FALSE(rules_after(rules, allow("1", {.host = "git.example.org"}), services))
      << "a rule for the alias is for another host";
  auto https = *rules_after(*rules_after(rules, deny("git.example.org"), services),
                            allow("1", {.host = "git.example.org", .ports = {443}}), services);
  EXPECT_TRUE(is_denied(https)) << "this is not about ssh";
  EXPECT_EQ(https.back(), (wire::GuardRule{.host = "git.example.org", .ports = {443}}));
}

// The ssh-agent's filter asks this about each login.
TEST(LivePolicy, SaysWhetherSshToAHostIsDenied) {
  const std::vector<SshService> hosts =
      ssh_services({{.host = "git", .hostname = "git.example.org"}, {.host = "a.example.org"}});
  std::vector<wire::GuardRule> rules = {{.host = "*.example.org"}};
  for (const char* name : {"git", "a.example.org"}) EXPECT_FALSE(denies_ssh(rules, hosts, name)) << name;
  EXPECT_TRUE(denies_ssh(rules, hosts, "git.example.org")) << "the manifest has no host of this name";
  rules = *rules_after(rules, deny("git"), {.ssh = hosts});
  EXPECT_TRUE(denies_ssh(rules, hosts, "git"));
  EXPECT_FALSE(denies_ssh(rules, hosts, "a.example.org"));
  rules = *rules_after(rules, allow("1", {.host = "git"}), {.ssh = hosts});
  EXPECT_FALSE(denies_ssh(rules, hosts, "git"));
  EXPECT_TRUE(denies_ssh(*rules_after(rules, deny("*.example.org")), hosts, "git"));
}

// With an alias, too, the settings of a removed rule would need one that allows requests.
TEST(LivePolicy, AnAliasOfSshStaysDeniedIfTheDenialHasSettings) {
  const Services services{.ssh = {{.host = "git.a.test", .alias = "git"}}};
  auto denied = *rules_after({{.host = "git.a.test", .limit = {{5}}}}, deny("git"), services);
  EXPECT_EQ(denied.size(), 2u);
  EXPECT_FALSE(rules_after(denied, allow("1", {.host = "git"}), services));
}

TEST_F(ChangedPolicy, ChangesThatTheGuardRefusesAreUndone) {
  policy.request(allow("1", {.host = "a.example.org"}));
  policy.request(deny("b.example.org"));
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_TRUE(told.empty());
  policy.accepted();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(changed(told[0]).ok && changed(told[0]).id == "1");
  EXPECT_TRUE(policy.refused("no"));
  EXPECT_EQ(config, sent[0]) << "the second is taken back, the first stays";
  EXPECT_FALSE(policy.refused("something else"));
  up = false;
  policy.request(allow("3", {.host = "c.example.org"}));
  EXPECT_TRUE(!changed(told.back()).ok && changed(told.back()).id == "3");
  EXPECT_EQ(config, sent[0]);
}

TEST_F(ChangedPolicy, LetsACredentialLeaveByItsFingerprint) {
  policy.request({"1", wire::PolicyChange::AllowSecret{"3543c50b0cb9"}});
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].egress.allowed_secrets, std::vector<std::string>{"3543c50b0cb9"});
  policy.accepted();
  EXPECT_TRUE(changed(told.back()).ok);
  policy.request({"2", wire::PolicyChange::AllowSecret{"the-value-itself"}});
  EXPECT_FALSE(changed(told.back()).ok);
  EXPECT_EQ(sent.size(), 1u) << "the guard never gets a value as an exception";
}

TEST_F(ChangedPolicy, WithoutARecordTheGuardMustRefuseEverything) {
  policy.set_unrecorded("");
  EXPECT_TRUE(sent.empty());
  policy.request(allow("1", {.host = "a.example.org"}));
  policy.set_unrecorded("the disk is full");
  policy.set_unrecorded("the disk is full");
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[1].unrecorded, "the disk is full");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<wire::RecordFull>(told[0]));
  // If the guard refuses the first change, both are undone, and this one must be applied again.
  policy.refused("no");
  policy.set_unrecorded("the disk is full");
  EXPECT_EQ(sent.back().unrecorded, "the disk is full");
  // A dead guard gets it when it restarts.
  up = false;
  policy.set_unrecorded("");
  EXPECT_EQ(config.unrecorded, "");
  EXPECT_TRUE(std::holds_alternative<wire::RecordBack>(told.back()));
}

TEST_F(ChangedPolicy, TheRootOfAnotherBrokerIsAddedOnceAndRemovedIfRefused) {
  config.egress.extra_ca = "FIRST";
  const auto before = config;
  policy.trust("");
  policy.trust("FIRST");
  EXPECT_TRUE(sent.empty());
  policy.trust("SECOND");
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(config.egress.extra_ca, "FIRST\nSECOND");
  policy.trust("SECOND");
  EXPECT_EQ(sent.size(), 1u);
  EXPECT_FALSE(policy.refused("no certificate")) << "no operator's request: the error is news";
  EXPECT_EQ(config, before);
  policy.trust("THIRD");
  policy.accepted();
  up = false;
  policy.trust("FOURTH");
  EXPECT_EQ(config.egress.extra_ca, "FIRST\nTHIRD\nFOURTH") << "for the next guard";
  EXPECT_TRUE(told.empty());
}

TEST_F(ChangedPolicy, TheSupervisorsOwnChangesOutliveAnEarlierChangeThatTheGuardRefuses) {
  auto wanted = config;
  policy.request(allow("1", {.host = "a.example.org"}));
  policy.trust("ROOT");
  policy.set_unrecorded("the disk is full");
  policy.set_host_networks({"10.1.0.0/16"});
  EXPECT_TRUE(policy.refused("no"));
  wanted.egress.extra_ca = "\nROOT";
  wanted.unrecorded = "the disk is full";
  wanted.host_networks = {"10.1.0.0/16"};
  EXPECT_EQ(config, wanted);
  ASSERT_EQ(sent.size(), 5u);
  EXPECT_EQ(sent.back(), wanted) << "the guard may have accepted one that contains the refused change";
  // The answers to the later changes are still on their way, but no longer matter.
  EXPECT_TRUE(policy.refused("no"));
  policy.accepted();
  EXPECT_TRUE(policy.refused("no"));
  policy.accepted();
  EXPECT_EQ(config, wanted);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<wire::RecordFull>(told[0]));
  EXPECT_FALSE(changed(told[1]).ok);
  EXPECT_FALSE(policy.refused("something else"));
  EXPECT_EQ(config, wanted);
}

TEST_F(ChangedPolicy, TheSupervisorsOwnChangesOutliveAGuardThatDiesBeforeItAnswers) {
  auto wanted = config;
  policy.trust("FIRST");
  policy.request(allow("1", {.host = "a.example.org"}));
  policy.trust("SECOND");
  policy.set_unrecorded("the disk is full");
  up = false;
  policy.guard_is_gone();
  wanted.egress.extra_ca = "\nFIRST\nSECOND";
  wanted.unrecorded = "the disk is full";
  EXPECT_EQ(config, wanted);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_FALSE(changed(told[1]).ok);
  policy.guard_is_gone();
  EXPECT_EQ(config, wanted);
}

TEST_F(ChangedPolicy, ANewGuardGetsWhatChangedWhileItStarted) {
  up = false;
  policy.guard_is_gone();
  const auto started = config;
  policy.trust("ROOT");
  policy.set_unrecorded("the disk is full");
  policy.set_host_networks({"10.1.0.0/16"});
  EXPECT_TRUE(sent.empty());
  up = true;
  policy.guard_is_back(started);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].egress.extra_ca, "\nROOT");
  EXPECT_EQ(sent[0].unrecorded, "the disk is full");
  EXPECT_EQ(sent[0].host_networks, std::vector<std::string>{"10.1.0.0/16"});
  policy.accepted();
  policy.guard_is_back(config);
  EXPECT_EQ(sent.size(), 1u) << "nothing changed";
}

TEST_F(ChangedPolicy, WhatChangedWhileAGuardStartedOutlivesThatGuard) {
  up = false;
  policy.guard_is_gone();
  const auto started = config;
  policy.trust("ROOT");
  up = true;
  policy.guard_is_back(started);
  policy.guard_is_gone();  // before it answered
  EXPECT_EQ(config.egress.extra_ca, "\nROOT");
}

TEST_F(ChangedPolicy, WhatRemainsAfterARefusalOutlivesTheGuard) {
  policy.request(allow("1", {.host = "a.example.org"}));
  policy.trust("ROOT");
  policy.refused("no");
  policy.guard_is_gone();
  EXPECT_EQ(config.egress.extra_ca, "\nROOT");
}

}  // namespace
}  // namespace bottle::session
