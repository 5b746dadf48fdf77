#include "inside/trust/nss_trust.h"

#include <gtest/gtest.h>

#include <string>

namespace bottle::inside {
namespace {

using namespace std::literals;

constexpr size_t kPage = 65536;

// Returns a certificate in DER with a version, serial number 5, issuer 0x31, subject 0x32, and `more` after them.
std::string certificate(const std::string& more = "") {
  std::string fields = "\xa0\x03\x02\x01\x02\x02\x01\x05\x30\x00\x30\x01\x31\x30\x00\x30\x01\x32"s + more;
  auto sequence = [](const std::string& inside) {
    std::string size = {static_cast<char>(inside.size() >> 8), static_cast<char>(inside.size())};
    return "\x30\x82" + size + inside;
  };
  return sequence(sequence(fields));
}

std::string pem(const std::string& der) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (unsigned char byte : der) {
    bits = bits << 8 | byte;
    for (count += 8; count >= 6; count -= 6) text += kAlphabet[bits >> (count - 6) & 63];
  }
  if (count) text += kAlphabet[bits << (6 - count) & 63];
  return "-----BEGIN CERTIFICATE-----\n" + text + "\n-----END CERTIFICATE-----\n";
}

// Returns the number of rows in the table.
size_t rows(const std::string& database) {
  return static_cast<unsigned char>(database[kPage + 3]) << 8 | static_cast<unsigned char>(database[kPage + 4]);
}

TEST(NssTrust, HasTwoRowsForEachCertificate) {
  std::string database = nss_trust_database(pem(certificate()) + "text\n" + pem(certificate("\x04\x01x")));
  EXPECT_EQ(database.size(), 2 * kPage);
  EXPECT_TRUE(database.starts_with("SQLite format 3\0\0\1"sv));
  EXPECT_EQ(rows(database), 4u);
  EXPECT_NE(database.find(certificate()), database.npos);
  EXPECT_NE(database.find("\x02\x01\x05\x30\x01\x32"s), database.npos) << "serial number, then subject";
}

TEST(NssTrust, SkipsInvalidCertificates) {
  std::string whole = certificate();
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(rows(nss_trust_database(pem(whole.substr(0, size)))), 0u) << size;
  EXPECT_EQ(rows(nss_trust_database(pem(whole + "x"))), 0u);
  EXPECT_EQ(rows(nss_trust_database(pem("\x30\x84\xff\xff\xff\xff"s))), 0u);
  EXPECT_EQ(rows(nss_trust_database("")), 0u);
}

TEST(NssTrust, LeavesOutCertificatesThatDoNotFit) {
  std::string many, big = "\x04\x82\x13\x88" + std::string(5000, 'x');
  for (int i = 0; i < 30; ++i) many += pem(certificate(big));
  std::string database = nss_trust_database(many);
  EXPECT_EQ(database.size(), 2 * kPage);
  EXPECT_EQ(rows(database), 2u * 11) << "60 KB";
  EXPECT_EQ(rows(nss_trust_database(pem(certificate("\x04\x82\xff\xf0" + std::string(0xfff0, 'x'))))), 0u);
}

}  // namespace
}  // namespace bottle::inside
