#include <gtest/gtest.h>

#include "policy/address.h"
#include "policy/host.h"
#include "policy/rules.h"

namespace bottle::policy {
namespace {

TEST(Address, refuses_every_special_range) {
  for (const char* text : {"0.0.0.0",
                           "0.1.2.3",
                           "10.0.0.1",
                           "10.255.255.255",
                           "100.64.0.1",
                           "100.100.100.200",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.255.255.254",
                           "169.254.169.254",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.0.0.1",
                           "192.0.0.192",
                           "192.0.2.1",
                           "192.88.99.1",
                           "192.168.1.1",
                           "198.18.0.1",
                           "198.19.255.255",
                           "198.51.100.1",
                           "203.0.113.7",
                           "168.63.129.16",
                           "224.0.0.1",
                           "239.255.255.255",
                           "240.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "::7f00:1",
                           "::ffff:127.0.0.1",
                           "::ffff:8.8.8.8",
                           "::ffff:0:8.8.8.8",
                           "64:ff9b::808:808",
                           "64:ff9b:1::1",
                           "100::1",
                           "2001::1",
                           "2001:0:53aa::1",
                           "2001:2::1",
                           "2001:10::1",
                           "2001:20::1",
                           "2001:db8::1",
                           "2002:7f00:1::",
                           "3fff::1",
                           "5f00::1",
                           "fc00::1",
                           "fd00:ec2::254",
                           "fd20:ce::254",
                           "fe80::1",
                           "fec0::1",
                           "ff02::1",
                           "4000::1",
                           "8000::1",
                           "200::1"}) {
    auto address = parse_address(text);
    ASSERT_TRUE(address) << text;
    EXPECT_FALSE(special_range(*address).empty()) << text;
  }
}

TEST(Address, leaves_public_ones_alone) {
  for (const char* text : {"1.1.1.1",         "8.8.8.8",         "9.255.255.255",        "11.0.0.0",
                           "100.63.255.255",  "100.128.0.0",     "126.255.255.255",      "128.0.0.1",
                           "168.63.129.15",   "168.63.129.17",   "172.15.255.255",       "172.32.0.0",
                           "192.0.1.1",       "192.167.255.255", "198.17.255.255",       "198.20.0.0",
                           "223.255.255.255", "2001:200::1",     "2001:4860:4860::8888", "2606:4700::1111",
                           "2a00::1",         "2003::1"}) {
    auto address = parse_address(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(special_range(*address), "") << text;
  }
}

TEST(Address, parses_only_canonical_spellings) {
  for (const char* text : {"127.1", "0177.0.0.1", "127.000.0.1", "0x7f.0.0.1", "2130706433", "1.2.3.4.", " 1.2.3.4",
                           "1.2.3", "fe80::1%1", "[::1]", ""})
    EXPECT_FALSE(parse_address(text)) << text;
  EXPECT_EQ(parse_endpoint("[::1]:53")->port, 53);
  EXPECT_EQ(to_string(*parse_endpoint("::1", 7)), "[::1]:7");
  EXPECT_FALSE(parse_endpoint("1.2.3.4:"));
  EXPECT_FALSE(parse_endpoint("1.2.3.4:70000"));
  EXPECT_FALSE(parse_endpoint("1.2.3.4:80x"));
}

TEST(Host, sees_a_literal_in_every_spelling) {
  for (const char* text : {"127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "0X7F.0.0.1", "2130706433",
                           "017700000001", "0177.0.0.1", "127.0.0.1.", "127.1.", "[::1]", "::1", "[::ffff:127.0.0.1]",
                           "1.2.3.4.5", "example.1", "0x", "a.0x1f", "0"}) {
    auto host = normalise_host(text);
    ASSERT_TRUE(host) << text;
    EXPECT_TRUE(host->literal) << text;
  }
  for (const char* text : {"example.org", "1and1.com", "0xfeed.example", "a.0xg", "x-1"})
    EXPECT_FALSE(normalise_host(text)->literal) << text;
}

TEST(Host, refuses_what_is_not_a_name) {
  for (const char* text : {"", ".", "..", "a..b", ".a", "a b", "a%2eb", "a/b", "a@b", "exämple.org",
                           "\xef\xbc\x91.1.1.1", "[1.2.3.4]", "[::1", "a:b", "[fe80::1%25lo]", "example.org.."})
    EXPECT_FALSE(normalise_host(text)) << text;
  EXPECT_FALSE(normalise_host(std::string("a\0b", 3)));
  EXPECT_FALSE(normalise_host(std::string(64, 'a')));
  EXPECT_EQ(normalise_host("ExAmple.ORG.")->name, "example.org");
}

TEST(Host, parses_an_authority) {
  EXPECT_EQ(parse_authority("a.b:8443", 0)->port, 8443);
  EXPECT_EQ(parse_authority("[2001:db8::1]:443", 0)->host.name, "2001:db8::1");
  for (const char* text :
       {"a.b", "a.b:", "a.b:0", "a.b:65536", "a.b:+1", "a.b:80:80", "a.b:0080x", "a.b:000080", "user@a.b:1"})
    EXPECT_FALSE(parse_authority(text, 0)) << text;
}

bool allowed(const Rules& rules, const char* host, uint16_t port = 443) {
  return rules.connect(*normalise_host(host), port).allowed;
}

TEST(Rules, deny_by_default_and_match_patterns) {
  auto none = Rules::compile({});
  EXPECT_FALSE(allowed(*none, "example.org"));
  auto rules =
      Rules::compile({{.host = "example.org"}, {.host = "*.sub.example"}, {.host = "p.example", .ports = {8443}}});
  ASSERT_TRUE(rules);
  EXPECT_TRUE(allowed(*rules, "EXAMPLE.org."));
  EXPECT_TRUE(allowed(*rules, "example.org", 80));
  EXPECT_FALSE(allowed(*rules, "example.org", 22));
  EXPECT_FALSE(allowed(*rules, "www.example.org"));
  EXPECT_FALSE(allowed(*rules, "notexample.org"));
  EXPECT_TRUE(allowed(*rules, "a.b.sub.example"));
  EXPECT_FALSE(allowed(*rules, "sub.example"));
  EXPECT_FALSE(allowed(*rules, "xsub.example"));
  EXPECT_TRUE(allowed(*rules, "p.example", 8443));
  EXPECT_FALSE(allowed(*rules, "p.example", 443));
}

TEST(Rules, a_star_matches_only_public_names) {
  auto rules = Rules::compile({{.host = "*"}});
  EXPECT_TRUE(allowed(*rules, "example.org"));
  for (const char* host :
       {"localhost", "printer", "a.local", "metadata.google.internal", "1.0.0.127.in-addr.arpa", "8.8.8.8", "127.1"})
    EXPECT_FALSE(allowed(*rules, host)) << host;
}

TEST(Rules, the_most_specific_pattern_decides) {
  auto rules =
      Rules::compile({{.host = "*"}, {.host = "api.example.org", .methods = {"get"}, .paths = {"/repos/me/**"}}});
  auto host = *normalise_host("api.example.org");
  EXPECT_TRUE(rules->connect(host, 443).inspect);
  EXPECT_TRUE(rules->request(host, 443, "GET", "/repos/me/x?y=1").allowed);
  EXPECT_TRUE(rules->request(host, 443, "GET", "/repos/me/a/%62").allowed);
  EXPECT_FALSE(rules->request(host, 443, "POST", "/repos/me/x").allowed);
  EXPECT_FALSE(rules->request(host, 443, "GET", "/repos/you/x").allowed);
  for (const char* target : {"/repos/me/../you/x", "/repos/me/%2e%2e/you", "/repos/me/..%2fyou", "/repos/me//x",
                             "/repos/me/%252e", "/repos/me/a\\b", "/repos/me/..;/x", "/repos/me/%00", "/repos/me/%zz",
                             "/repos/me/../../../x", "*", "http://x/"})
    EXPECT_FALSE(rules->request(host, 443, "GET", target).allowed) << target;
  EXPECT_FALSE(rules->connect(*normalise_host("other.example.org"), 443).inspect);
}

TEST(Rules, ARefusalSaysWhatItLacks) {
  auto rules = *Rules::compile({{.host = "a.test", .methods = {"GET"}, .paths = {"/in/**"}},
                                {.host = "b.test", .deny = true},
                                {.host = "c.test", .ports = {8443}}});
  auto lacks = [&](const char* host, uint16_t port, const char* method, const char* target) {
    auto decision = rules.request(*normalise_host(host), port, method, target);
    EXPECT_NE(decision.allowed, decision.lacks.has_value()) << host << target;
    return decision.lacks;
  };
  EXPECT_EQ(lacks("d.test", 443, "GET", "/"), Lacks::host);
  EXPECT_EQ(lacks("b.test", 443, "GET", "/"), Lacks::nothing) << "no other rule could allow it";
  EXPECT_EQ(lacks("c.test", 443, "GET", "/"), Lacks::port);
  EXPECT_EQ(lacks("c.test", 8443, "GET", "/"), std::nullopt);
  EXPECT_EQ(lacks("a.test", 443, "PUT", "/in/x"), Lacks::method);
  EXPECT_EQ(lacks("a.test", 443, "GET", "/x"), Lacks::path);
  EXPECT_EQ(lacks("a.test", 443, "GET", "/in/%zz"), Lacks::nothing) << "no rule for such a path could be judged";
  EXPECT_EQ(lacks("a.test", 443, "GET", "/in/x?_method=PUT"), Lacks::query);
  EXPECT_EQ(lacks("a.test", 443, "GET", "/in/x?_method=GET"), std::nullopt);
}

TEST(Rules, ADenialOverridesRulesOfTheSameRank) {
  auto rules = *Rules::compile({{.host = "*"},
                                {.host = "a.example.org"},
                                {.host = "a.example.org", .deny = true},
                                {.host = "*.evil.org", .deny = true},
                                {.host = "good.evil.org"}});
  auto allowed = [&](const char* host) { return rules.connect(*normalise_host(host), 443).allowed; };
  EXPECT_FALSE(allowed("a.example.org"));
  EXPECT_TRUE(allowed("b.example.org"));
  EXPECT_FALSE(allowed("x.evil.org"));
  EXPECT_TRUE(allowed("good.evil.org")) << "a more specific rule speaks alone";
  EXPECT_FALSE(rules.request(*normalise_host("a.example.org"), 443, "GET", "/").allowed);
  EXPECT_TRUE(rules.denied(*normalise_host("a.example.org")));
  EXPECT_FALSE(rules.denied(*normalise_host("unknown.org")));
}

}  // namespace
}  // namespace bottle::policy
