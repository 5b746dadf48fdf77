// Checks the fast ways of decode.cc against the plain ones.
#include "scan/encoding/decode.h"

#include <gtest/gtest.h>

#include <random>

namespace bottle::scan {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Decodes one digit after the other.
std::string plainly_decoded(std::string_view text, unsigned skip) {
  std::string out;
  uint32_t bits = 0;
  unsigned count = 0;
  for (char c : text) {
    if (c == '=') count = 0;
    size_t digit = kDigits.find(c);
    if (digit == kDigits.npos) continue;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    unsigned less = std::min(skip, count);
    skip -= less;
    count -= less;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count);
  }
  return out;
}

TEST(Decode, Base64WithAnythingBetweenItsDigits) {
  std::mt19937 random(5);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (size_t size = random() % 200; text.size() < size;) {
      text += kDigits[random() % 64];
      if (random() % 20 == 0) text += "\n=: "[random() % 4];
    }
    for (unsigned skip = 0; skip < 8; skip += 2) {
      Decoded decoded = base64_run(text, 0, text.size(), skip);
      ASSERT_EQ(decoded.text, plainly_decoded(text, skip)) << text;
      for (size_t k = 1; k < decoded.anchors.size(); ++k)
        ASSERT_EQ(decoded.anchors[k].at, decoded.anchors[k - 1].at + Decoded::kStride);
    }
  }
}

TEST(Decode, APeekFindsTextAtEveryAlignment) {
  std::mt19937 random(6);
  int hidden = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (size_t size = 12 + random() % 53; text.size() < size;) text += kDigits[random() % 64];
    // A text at one of the alignments, in every second run.
    if (size_t at = random() % 40; i % 2 == 0 && at + 20 <= text.size()) text.replace(at, 20, "dGhpcyBpcyBhIHRleHQh");
    auto peek = peek_base64(text);
    ASSERT_TRUE(peek);
    std::string aligned = plainly_decoded(text, 0), moved;
    ASSERT_EQ(peek->size, aligned.size());
    ASSERT_EQ(std::string_view(peek->first, 3), aligned.substr(0, 3));
    for (unsigned bits = 0; bits < 8; bits += 2) {
      if (bits) shift(aligned, bits, moved);
      bool hides = has_text(bits ? moved : aligned);
      hidden += hides;
      if (hides) ASSERT_TRUE(peek->hides) << text << " at " << bits;
    }
  }
  EXPECT_GT(hidden, 1000);
}

TEST(Decode, APeekIsOnlyForShortRunsOfDigits) {
  EXPECT_FALSE(peek_base64("short"));
  EXPECT_FALSE(peek_base64(std::string(kPeekedRun + 1, 'a')));
  EXPECT_FALSE(peek_base64("aaaaaaaaaaaa\naaaa"));
  EXPECT_FALSE(peek_base64("0123456789ab")->hides);
}

TEST(Decode, Decimals) {
  std::string_view text = "[65, 66,67;1234x9]";
  EXPECT_EQ(decimal_run(text, 0, text.size()).text, "ABC{\x04\x09");
}

}  // namespace
}  // namespace bottle::scan
