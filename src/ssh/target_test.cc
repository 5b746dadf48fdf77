#include "ssh/target.h"

#include <gtest/gtest.h>

namespace bottle::ssh {
namespace {

TEST(Target, ReadsWhatSshReads) {
  struct Case {
    const char *text, *user, *host;
    int port;
  };
  for (const Case& c : {Case{"me@vm.example.org", "me", "vm.example.org", 0}, {"vm", "", "vm", 0}, {"me@vm:2222", "me", "vm", 2222},
                        {"ssh://me@vm:22/", "me", "vm", 22}, {"me@[2001:db8::1]:2200", "me", "2001:db8::1", 2200}, {"2001:db8::1", "", "2001:db8::1", 0},
                        {"me@fe80::1%eth0", "me", "fe80::1%eth0", 0}}) {
    auto target = parse_target(c.text);
    ASSERT_TRUE(target) << c.text << ": " << target.error().what;
    EXPECT_EQ(target->user, c.user) << c.text;
    EXPECT_EQ(target->host, c.host) << c.text;
    EXPECT_EQ(target->port, c.port) << c.text;
  }
}

TEST(Target, NothingBecomesAnOptionOrACommand) {
  for (const char* text : {"", "@", "me@", "-oProxyCommand=id", "me@-oProxyCommand=id", "-l@vm", "vm;id", "vm`id`", "a b", "vm:", "vm:0", "vm:65536", "vm:22x", "[::1", "[::1]22",
                           "me@vm\n", "$(id)@vm", "vm'", "me@vm/../x"})
    EXPECT_FALSE(parse_target(text)) << text;
}

}  // namespace
}  // namespace bottle::ssh
