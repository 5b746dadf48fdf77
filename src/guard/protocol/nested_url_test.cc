// Checks how hosts are read from URLs that stand in the target of another request.
#include "guard/protocol/nested_url.h"

#include <gtest/gtest.h>

#include <utility>

namespace bottle::guard {
namespace {

using Hosts = std::vector<std::string>;

TEST(NestedUrl, EveryReadingOfAUrlCounts) {
  for (const auto& [url, hosts] : std::initializer_list<std::pair<std::string_view, Hosts>>{
           {"http://a.example/x", {"a.example"}},
           {"HTTPS://A.example", {"a.example"}},
           {"http://10.0.0.1:8080?x", {"10.0.0.1"}},
           {"http://user:word@10.0.0.1/", {"10.0.0.1"}},
           {"gopher://[fd00::1]:70/", {"[fd00::1]"}},
           {"http://[fe80::1%25eth0]/", {"[fe80::1]"}},
           {"http:\\\\10.0.0.1", {"10.0.0.1"}},
           {"http:\\/10.0.0.1\\x", {"10.0.0.1"}},
           {"http:///10.0.0.1", {"10.0.0.1"}},
           {"http:/printer.local/", {"printer.local"}},
           {"http:10.0.0.1", {"10.0.0.1"}},
           {"//10.0.0.1/x", {"10.0.0.1"}},
           {"\\\\10.0.0.1\\share", {"10.0.0.1"}},
           {"//localhost:80/", {"localhost"}},
           {"url:http://10.0.0.1/", {"10.0.0.1"}},
           {"http://a.example\\@10.0.0.1/", {"a.example", "10.0.0.1"}},
           {"http://a.example#@10.0.0.1/", {"a.example", "10.0.0.1"}},
           {"http://a.example?@10.0.0.1/", {"a.example", "10.0.0.1"}},
           {"http://10.0.0.1#@a.example/", {"10.0.0.1"}},
           {"http://10.0.0.1@a.example/", {"a.example"}},
           {"http://a@b.example@10.0.0.1\\@c.example", {"10.0.0.1", "c.example"}},
           {"http://localhost../", {"localhost"}},
           {"\x01 http://10.0.0.1/", {"10.0.0.1"}},
           {"+ht\ntp://10.0.0.1/", {"10.0.0.1"}},
           {"http://\xef\xbc\x91\xef\xbc\x90.0\xe3\x80\x82"
            "0.1/",
            {"10.0.0.1"}},
           {"http://\xe2\x91\xa0\xe2\x91\xa1\xf0\x9d\x9f\x95.1/", {"127.1"}},
           {"http://l\xc2\xadocal\xe2\x80\x8bh\xe2\x93\x9est/", {"localhost"}},
           {"http://::1/", {"::1"}},
           {"http://\xff/", {"\xff"}},
           {"http://[169.254.169.254]/x", {"169.254.169.254"}},
           {"http://[localhost]/", {"localhost"}},
           {"http://169.254.169.254 /", {"169.254.169.254"}},
           {"http://169.254.169.254;x/", {"169.254.169.254"}},
           {"http://..169.254.169.254/", {"169.254.169.254"}},
           {"//http://10.0.0.1/", {"10.0.0.1"}},
           {"http://{host}/", {}},
           {"http://xn--bcher-kva.example/", {"xn--bcher-kva.example"}},
       })
    EXPECT_EQ(hosts_of_url(url), hosts) << url;
}

TEST(NestedUrl, OtherTextHasNoHosts) {
  for (std::string_view text : {"", "no url", "see http://10.0.0.1", "://x", "a/b://x", "http://", "http:read",
                                "//src/app:main", "//depot/main", "//2/x", "s3://bucket/key", "git@github.com:a/b",
                                "12:30", "mailto:me@localhost", "/etc/hosts", "C:\\x"})
    EXPECT_EQ(hosts_of_url(text), Hosts{}) << text;
  EXPECT_EQ(hosts_of_url("https://a.example?mail=me@corp"), Hosts{"a.example"});
}

TEST(NestedUrl, TheSchemeIsThatOfTheInnerUrl) {
  for (const auto& [url, scheme] :
       std::vector<std::pair<std::string_view, std::string_view>>{{"HTTP://a.example/", "http"},
                                                                  {"+http://a.example/", "http"},
                                                                  {" h\nttp:a.example", "http"},
                                                                  {"//http://a.example/", "http"},
                                                                  {"view-source:http://a.example/", "http"},
                                                                  {"MyApp://callback", "myapp"},
                                                                  {"myapp:/callback", "myapp"},
                                                                  {"169.254.169.254:80/", ""},
                                                                  {"a@169.254.169.254:80/", ""},
                                                                  {"//a.example:80/", ""},
                                                                  {"", ""}})
    EXPECT_EQ(innermost_scheme(url), scheme) << url;
}

TEST(NestedUrl, ABareUrlCountsOnlyWithAnAddress) {
  EXPECT_EQ(hosts_of_bare_url("169.254.169.254/latest"), Hosts{"169.254.169.254"});
  EXPECT_EQ(hosts_of_bare_url("localhost:6379"), Hosts{"localhost"});
  EXPECT_EQ(hosts_of_bare_url("169.254.169.254 /latest"), Hosts{"169.254.169.254"});
  for (std::string_view text : {"", "a.example/x", "1.2", "10", "/path", "printer.local"})
    EXPECT_TRUE(hosts_of_bare_url(text).empty()) << text;
}

}  // namespace
}  // namespace bottle::guard
