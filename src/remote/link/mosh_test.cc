#include "remote/link/mosh.h"

#include <gtest/gtest.h>

#include <vector>

namespace bottle::remote {
namespace {

const std::string kKey = "AAAAbbbbCCCCdddd0123+/";

TEST(Mosh, ReadsTheServersReport) {
  auto found = parse_mosh_connect("MOSH IP 203.0.113.2 50000 203.0.114.2 22\n\nMOSH CONNECT 60001 " + kKey +
                                  "\r\n\nmosh-server (mosh 1.4.0)\n");
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_EQ(found->port, 60001);
  EXPECT_EQ(found->key, kKey);
  EXPECT_EQ(found->server_address, "203.0.114.2");
  EXPECT_EQ(parse_mosh_connect("MOSH IP fe80::1 1 2001:db8::2 22\nMOSH CONNECT 1 " + kKey)->server_address,
            "2001:db8::2");
}

TEST(Mosh, AnInvalidAddressIsIgnored) {
  for (const char* line : {"MOSH IP \n", "MOSH IP a b\n", "MOSH IP 1.2.3.4 1 --help 22\n",
                           "MOSH IP 1.2.3.4 1 evil.example.net 22\n", ""}) {
    auto found = parse_mosh_connect(line + ("MOSH CONNECT 60001 " + kKey + "\n"));
    ASSERT_TRUE(found) << line;
    EXPECT_EQ(found->server_address, "") << line;
  }
}

TEST(Mosh, RefusesInvalidReports) {
  for (const std::string& line : std::vector<std::string>{
           "", "MOSH CONNECT", "MOSH CONNECT  " + kKey, "MOSH CONNECT 0 " + kKey, "MOSH CONNECT 65536 " + kKey,
           "MOSH CONNECT -1 " + kKey, "MOSH CONNECT 60001 " + kKey + "A", "MOSH CONNECT 60001 short",
           "MOSH CONNECT 60001 AAAAbbbbCCCCdddd0123+;", "x MOSH CONNECT 60001 " + kKey,
           "MOSH CONNECT 60001 22 " + kKey})
    EXPECT_FALSE(parse_mosh_connect(line)) << line;
}

TEST(Mosh, IsNotUsedThroughAForwardedPort) {
  EXPECT_TRUE(is_forwarded({"127.0.0.1"}, "10.0.2.15"));
  EXPECT_TRUE(is_forwarded({"::1", "127.0.0.1"}, "2001:db8::2"));
  EXPECT_FALSE(is_forwarded({"127.0.0.1"}, "127.0.0.1"));
  EXPECT_FALSE(is_forwarded({"127.0.0.1"}, ""));
  EXPECT_FALSE(is_forwarded({"203.0.114.2"}, "10.0.0.7"));
}

TEST(Mosh, AcceptsOnlyValidPorts) {
  for (const char* bad : {"0", "65536", "60010:60000", "a", "1:", ":1", "1:2:3", "1 -- sh", "-1", "1x", "1:2x"})
    EXPECT_FALSE(check_mosh({bad})) << bad;
}

}  // namespace
}  // namespace bottle::remote
