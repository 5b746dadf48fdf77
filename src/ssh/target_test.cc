#include "ssh/target.h"

#include <gtest/gtest.h>

#include "ssh/connection.h"

namespace bottle::ssh {
namespace {

TEST(Target, ReadsWhatSshReads) {
  struct Case {
    const char *text, *user, *host;
    int port;
  };
  for (const Case& c : {Case{"me@vm.example.org", "me", "vm.example.org", 0},
                        {"vm", "", "vm", 0},
                        {"me@vm:2222", "me", "vm", 2222},
                        {"ssh://me@vm:22/", "me", "vm", 22},
                        {"me@[2001:db8::1]:2200", "me", "2001:db8::1", 2200},
                        {"2001:db8::1", "", "2001:db8::1", 0},
                        {"me@fe80::1%eth0", "me", "fe80::1%eth0", 0}}) {
    auto target = parse_target(c.text);
    ASSERT_TRUE(target) << c.text << ": " << target.error().what;
    EXPECT_EQ(target->user, c.user) << c.text;
    EXPECT_EQ(target->host, c.host) << c.text;
    EXPECT_EQ(target->port, c.port) << c.text;
  }
}

TEST(Target, NothingBecomesAnOptionOrACommand) {
  for (const char* text :
       {"", "@", "me@", "-oProxyCommand=id", "me@-oProxyCommand=id", "-l@vm", "vm;id", "vm`id`", "a b", "vm:", "vm:0",
        "vm:65536", "vm:22x", "[::1", "[::1]22", "me@vm\n", "$(id)@vm", "vm'", "me@vm/../x"})
    EXPECT_FALSE(parse_target(text)) << text;
}

TEST(Connection, WhatSshComplainsOfIsExplained) {
  Target target = *parse_target("me@vm.example.org");
  // What a laptop without a network says is no word that something is gone.
  EXPECT_EQ(
      explain(target, "ssh: Could not resolve hostname vm.example.org: Temporary failure in name resolution\r\n").code,
      Code::unavailable);
  EXPECT_EQ(explain(target, "Host key verification failed.").code, Code::denied);
  // Perhaps a program's over there that ends with ssh's own status.
  Error said = explain(target, "\x1b]52;c;aGk=\x07 \xff" + std::string(9000, 'x'));
  EXPECT_EQ(said.what.find_first_of("\x1b\x07\xff"), std::string::npos);
  EXPECT_LT(said.what.size(), 700u);
}

TEST(Connection, AProxyCommandThatFailsIsNamed) {
  Target target;
  target.host = "vm.example.org";
  Error said = explain_detour(target, "ProxyCommand nc %h", "nc: no route\r\nkex_exchange_identification: closed\r\n");
  EXPECT_EQ(said.code, Code::unavailable);
  EXPECT_EQ(said.what,
            "vm.example.org is reached through ProxyCommand nc %h, which ended without a connection: nc: no route");
  said = explain_detour(target, "ProxyJump \x1b[2J", "kex_exchange_identification: closed\r\n");
  EXPECT_TRUE(said.what.ends_with(", which ended without a connection")) << said.what;
  EXPECT_EQ(said.what.find('\x1b'), std::string::npos);
}

TEST(Connection, APathIsOneWordOfAnOption) { EXPECT_EQ(option_path("/my state/100%/key"), "\"/my state/100%%/key\""); }

}  // namespace
}  // namespace bottle::ssh
