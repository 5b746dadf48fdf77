#include "pki/seal.h"

#include <gtest/gtest.h>

namespace bottle::pki {
namespace {

TEST(Seal, DecryptsFromAnyPosition) {
  std::string key = new_seal_key(), text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>(i * 7);
  std::string sealed = text;
  ASSERT_TRUE(seal(key, 0, sealed.data(), sealed.size()));
  EXPECT_NE(sealed, text);
  for (size_t from : {0, 1, 15, 16, 17, 1000, 4999}) {
    std::string part = sealed.substr(from, 100);
    ASSERT_TRUE(seal(key, from, part.data(), part.size()));
    EXPECT_EQ(part, text.substr(from, 100)) << from;
  }
  std::string again = sealed;
  ASSERT_TRUE(seal(new_seal_key(), 0, again.data(), again.size()));
  EXPECT_NE(again, text);
  EXPECT_FALSE(seal("short", 0, again.data(), again.size()));
}

// Source: FIPS 180-2, appendices A.1 and B.1; NIST SP 800-38A, F.5.5 (with a counter that begins at 0, the key stream
// is the cipher of zeros).
TEST(Seal, MatchesTheTestVectors) {
  EXPECT_EQ(digest("abc").substr(0, 4), "\xba\x78\x16\xbf");
  Digest sha1(Digest::Algorithm::sha1);
  sha1.feed("abc");
  std::string name = sha1.finish();
  EXPECT_EQ(name.size(), 20u);
  EXPECT_EQ(name.substr(0, 4), "\xa9\x99\x3e\x36");
  std::string zeros(16, '\0'), key(32, '\0');
  ASSERT_TRUE(seal(key, 0, zeros.data(), zeros.size()));
  EXPECT_EQ(zeros.substr(0, 4), "\xdc\x95\xc0\x78");  // AES-256 of a block of zeros under a key of zeros
}

}  // namespace
}  // namespace bottle::pki
