// Checks the fast ways of decode.cc against the plain ones.
#include "scan/encoding/decode.h"

#include <gtest/gtest.h>

#include <random>

#include "scan/encoding/peek.h"
#include "scan/encoding/run_parts.h"
#include "scan/encoding/simd/wide.h"

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
      if (hides) ASSERT_TRUE(peek->hides >> bits & 1) << text << " at " << bits;
    }
  }
  EXPECT_GT(hidden, 1000);
}

// Returns digits with line ends, escaped ones and padding between them, and in every second one with a text.
std::string with_others(std::mt19937& random, int i) {
  std::string text;
  for (size_t size = 12 + random() % 90; text.size() < size;) text += kDigits[random() % 64];
  if (size_t at = random() % 40; i % 2 == 0 && at + 20 <= text.size()) text.replace(at, 20, "dGhpcyBpcyBhIHRleHQh");
  for (size_t count = random() % 4; count > 0; --count) {
    constexpr std::string_view kOthers[] = {"\n", "=", "==\n", "\\n", "\\\\n", "\r\n "};
    text.insert(1 + random() % text.size(), kOthers[random() % std::size(kOthers)]);
  }
  return text;
}

TEST(Decode, APeekReadsLineEndsAndPadding) {
  std::mt19937 random(14);
  int hidden = 0, quiet = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = with_others(random, i);
    auto peek = peek_base64_parts(text);
    ASSERT_EQ(peek.has_value(), text.size() <= kPeekedRun) << text;
    if (!peek) continue;
    quiet += !peek->hides;
    for (unsigned bits = 0; bits < 8; bits += 2) {
      std::string decoded = base64_run(text, 0, text.size(), bits).text;
      if (bits == 0) ASSERT_EQ(peek->size, decoded.size()) << text;
      if (bits == 0) ASSERT_EQ(std::string_view(peek->first, 3), decoded.substr(0, 3)) << text;
      bool hides = has_text(decoded) || has_packed(decoded);
      hidden += hides;
      if (hides) ASSERT_TRUE(peek->hides >> bits & 1) << text << " at " << bits;
    }
  }
  EXPECT_GT(hidden, 1000);
  EXPECT_GT(quiet, 5000);
}

// Compares the results of both ways to look at bytes, if this processor has both.
TEST(Decode, APeekIsTheSameOnEveryProcessor) {
  std::mt19937 random(15);
  bool usual = use_wide;
  for (int i = 0; i < 20000; ++i) {
    std::string text = i % 3 ? with_others(random, i) : std::string(random() % 200, 'x');
    for (char& c : text)
      if (i % 3 == 0) c = i % 2 ? "0123456789abcdefABCDEF-_"[random() % 24] : static_cast<char>(random());
    auto look = [&] {
      std::vector<std::string> seen;
      for (const auto& peek : {peek_base64(text), peek_base64_parts(text)})
        seen.push_back(peek ? std::string(peek->first, 3) + std::to_string(peek->size) + (peek->hides ? "!" : "") : "");
      for (unsigned bits = 1; bits < 8; ++bits) seen.emplace_back(hides_when_shifted(text, bits) ? "!" : "");
      std::vector<RunPart> parts;
      parts_of_run(text, parts);
      for (const auto& [begin, end, is_hex] : parts)
        seen.push_back(std::to_string(begin) + "-" + std::to_string(end) + (is_hex ? "h" : ""));
      return seen;
    };
    use_wide = usual;
    auto seen = look();
    use_wide = false;
    auto narrow = look();
    use_wide = usual;
    ASSERT_EQ(seen, narrow) << i << " " << text;
  }
}

TEST(Decode, APeekIsOnlyForShortRunsOfDigits) {
  EXPECT_FALSE(peek_base64("short"));
  EXPECT_FALSE(peek_base64(std::string(kPeekedRun + 1, 'a')));
  EXPECT_FALSE(peek_base64("aaaaaaaaaaaa\naaaa"));
  EXPECT_FALSE(peek_base64("0123456789ab")->hides);
}

// Otherwise, finding the place of each of many credentials would take time in proportion to the text.
TEST(Decode, AnchorsAreNearEachOther) {
  std::string text;
  while (text.size() < 4096) text += R"(&any; words \ %%%zz and more)";
  constexpr size_t kFarthest = 2 * Decoded::kStride;
  for (const Decoded& each : {unescaped(text, 0, text.size()), percent(text, 0, text.size()),
                              percent(std::string(4096, '%'), 0, 4096), plain_letters(text, 0, text.size())}) {
    size_t last = 0;
    for (const auto& anchor : each.anchors) {
      ASSERT_LE(anchor.at - last, kFarthest);
      last = anchor.at;
    }
    EXPECT_LE(each.text.size() - last, kFarthest);
  }
}

TEST(Decode, Decimals) {
  std::string_view text = "[65, 66,67;1234x9]";
  EXPECT_EQ(decimal_run(text, 0, text.size()).text, "ABC{\x04\x09");
  EXPECT_EQ(decimal_run("256,65", 0, 6).text, "\xff\x41");
}

bool may_hide(std::string_view bytes) { return has_text(bytes) || has_packed(bytes); }

// Returns bytes that are nearly enough for a text, or the beginning of a compressed stream, between random ones.
std::string nearly_text(std::mt19937& random) {
  using namespace std::string_view_literals;
  constexpr std::string_view kMarks[] = {"\x1f\x8b\x08"sv, "\x28\xb5\x2f\xfd"sv, "\x78\x9c"sv,
                                         "\x78\x01"sv,     "PK\3\4"sv,           "\0\0\0\0\0\0\0"sv};
  std::string out;
  if (random() % 8 == 0) out = "PK\3\4";  // which counts only at the beginning
  for (size_t parts = 1 + random() % 6; parts > 0; --parts) {
    for (size_t size = random() % 40; size > 0; --size) out += static_cast<char>(random());
    if (random() % 8 == 0) out += kMarks[random() % std::size(kMarks)];
    for (size_t size = random() % 16; size > 0; --size) out += static_cast<char>(' ' + random() % 95);
  }
  return out;
}

TEST(Peek, SeesWhatShiftedBytesHide) {
  std::mt19937 random(9);
  int hidden = 0;
  std::string moved;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = nearly_text(random);
    for (unsigned bits = 1; bits < 8; ++bits) {
      std::string earlier;  // the bytes before they were shifted
      shift("\x5a" + bytes + "\x5a", 8 - bits, earlier);
      shift(earlier, bits, moved);
      bool hides = may_hide(moved);
      hidden += hides;
      if (hides) ASSERT_TRUE(hides_when_shifted(earlier, bits)) << i << " " << bits;
    }
  }
  EXPECT_GT(hidden, 1000);
}

TEST(Peek, SeesWhatHexHides) {
  std::mt19937 random(10);
  int hidden = 0, seen = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string digits = random() % 2 ? "" : "7", moved, plain;
    for (unsigned char c : nearly_text(random))
      for (unsigned digit : {c >> 4, c & 15}) digits += (i % 3 ? "0123456789abcdef" : "0123456789ABCDEF")[digit];
    hex_digits(digits, plain);
    shift(plain, 4, moved);
    bool hides = may_hide(std::string_view(plain).substr(0, digits.size() / 2)) || may_hide(moved);
    hidden += hides;
    seen += hex_hides(digits);
    if (hides) ASSERT_TRUE(hex_hides(digits)) << digits;
  }
  EXPECT_GT(hidden, 1000);
  EXPECT_LT(seen, hidden * 3 / 2) << "few looks are in vain";
}

// Finds the parts by looking at one character after the other.
std::vector<RunPart> plain_parts(std::string_view run) {
  auto each = [&](std::string_view alphabet, size_t shortest, auto then) {
    for (size_t begin = run.find_first_of(alphabet), end; begin < run.size();
         begin = run.find_first_of(alphabet, end)) {
      end = std::min(run.find_first_not_of(alphabet, begin), run.size());
      if (end - begin >= shortest) then(begin, end);
    }
  };
  constexpr std::string_view kCapitals = "234567ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                             kSmall = "234567abcdefghijklmnopqrstuvwxyz";
  std::vector<RunPart> parts;
  each("0123456789abcdefABCDEF", 24, [&](size_t begin, size_t end) { parts.push_back({begin, end, true}); });
  if (!parts.empty() && parts[0].end - parts[0].begin == run.size()) return parts;
  for (std::string_view alphabet : {kCapitals, kSmall}) {
    size_t done = 0;
    each(alphabet, 20, [&](size_t begin, size_t end) {
      if (begin < done) return;
      size_t whole = begin;
      while (whole < run.size() && (kCapitals.contains(run[whole]) || kSmall.contains(run[whole]))) ++whole;
      if (end - begin < 64 && whole > end) return;
      std::string_view first = run.substr(begin, std::min<size_t>(end - begin, 64));
      if (alphabet == kSmall && first.find_first_not_of("234567") == first.npos) return;
      parts.push_back({begin, done = whole, false});
    });
  }
  return parts;
}

TEST(Peek, FindsThePartsOfARun) {
  constexpr std::string_view kAlphabets[] = {"0123456789abcdef",
                                             "0123456789ABCDEF",
                                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
                                             "abcdefghijklmnopqrstuvwxyz234567",
                                             "234567",
                                             "Aa+"};
  std::mt19937 random(12);
  size_t found = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string run;
    for (size_t count = 1 + random() % 5; count > 0; --count) {
      std::string_view alphabet = kAlphabets[random() % std::size(kAlphabets)];
      for (size_t size = random() % 90; size > 0; --size) run += alphabet[random() % alphabet.size()];
      if (random() % 3 == 0) run += kDigits[random() % 64];
    }
    std::vector<RunPart> parts;
    parts_of_run(run, parts);
    found += parts.size();
    ASSERT_EQ(parts, plain_parts(run)) << run;
  }
  EXPECT_GT(found, 10000u);
}

TEST(Peek, SeesWhatNumbersHide) {
  std::mt19937 random(11);
  int hidden = 0, seen = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (unsigned char c : nearly_text(random)) {
      text += std::to_string(random() % 40 ? c : random() % 2000);
      for (size_t gap = 1 + random() % 3; gap > 0; --gap) text += ", x-"[random() % 4];
    }
    if (random() % 2) text.resize(text.size() * 3 / 4);
    std::string plain = decimal_run(text, 0, text.size()).text;
    bool hides = may_hide(plain);
    hidden += hides;
    seen += decimals_hide(text);
    if (hides) ASSERT_TRUE(decimals_hide(text)) << text;
  }
  EXPECT_GT(hidden, 1000);
  EXPECT_LT(seen, hidden * 3 / 2) << "few looks are in vain";
}

// The first bytes of a stream can be chosen so that they look like text.
TEST(Decode, LooksForPackedBytesThatBeginLikeText) {
  std::string text(40, 'a'), formula = "x^2 + y^2 with words of a text that has \xc3\xa9";
  for (std::string_view mark : {"x\xc2\x9c", "x\xc3\x9a"})
    EXPECT_TRUE(may_be_packed_bytes(std::string(mark) + text)) << mark;
  EXPECT_FALSE(may_be_packed_bytes(formula));
}

}  // namespace
}  // namespace bottle::scan
