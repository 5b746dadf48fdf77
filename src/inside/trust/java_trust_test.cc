#include "inside/trust/java_trust.h"

#include <gtest/gtest.h>

#include "base/ids.h"
#include "inside/trust/bytes.h"

namespace bottle::inside {
namespace {

using namespace std::literals;

TEST(JavaTrust, Sha1OfKnownTexts) {
  EXPECT_EQ(to_hex(sha1("")), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(to_hex(sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(to_hex(sha1(std::string(1'000'000, 'a'))), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(JavaTrust, ContainsEveryCertificate) {
  std::string store = java_trust_store(
      "a comment\n-----BEGIN CERTIFICATE-----\nAQID\r\nBA==\n-----END CERTIFICATE-----\n"
      "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n"
      "-----BEGIN CERTIFICATE-----\nBQY=\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nAQ==\n");
  EXPECT_TRUE(
      store.starts_with("\xfe\xed\xfe\xed\0\0\0\2\0\0\0\2"
                        "\0\0\0\2\0\x0a"
                        "authority0\0\0\0\0\0\0\0\0\0\5X.509\0\0\0\4\1\2\3\4"
                        "\0\0\0\2\0\x0a"
                        "authority1"sv));
  EXPECT_EQ(store.size(), 12 + 2 * (4 + 2 + 10 + 8 + 2 + 5 + 4) + 4 + 2 + 20u);
}

}  // namespace
}  // namespace bottle::inside
