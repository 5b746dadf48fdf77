// Checks what bounds the work of the detector, and that it says so when a limit is spent.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>

#include "scan/content/compress_test.h"
#include "scan/credential/builtin.h"
#include "scan/credential/fingerprint.h"
#include "scan/disguise_test.h"
#include "scan/rule_examples.h"

namespace bottle::scan {
namespace {

TEST(Detector, LimitsItsWork) {
  std::string bomb(8 * 1024 * 1024, 'a');
  auto result = Detector(&catalog()).scan(gzipped(bomb));
  EXPECT_LE(result.decoded, 2 * Detector::kMostUnpacked);
  // If the first text left next to nothing of the budget, a second one makes the scan incomplete.
  std::string second = gzipped(std::string(200, '.') + "the value is " + std::string(kKnown));
  for (size_t left : {0u, 5u, 100u})
    for (const std::string& each : {second, base64(second), base64(second.substr(10, second.size() - 18))})
      EXPECT_TRUE(
          Detector(&catalog()).scan(gzipped(std::string(Detector::kMostUnpacked - left, 'a')) + " " + each).incomplete)
          << left << " " << each;
  std::string nested = "the value is " + std::string(kKnown);
  for (int i = 0; i < 12; ++i) nested = base64(nested);
  EXPECT_EQ(found(nested), "") << "deeper than kDeepest";
}

// Images look like random bytes, and random bytes may begin like compressed text.
TEST(Detector, RandomBytesInBase64AreScannedWhole) {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same bytes each time
  for (int block = 0; block < 100; ++block) {
    std::string bytes(24000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    EXPECT_FALSE(Detector(&catalog()).scan(base64(bytes)).incomplete) << block;
  }
}

// Brotli may have any number of blocks of metadata, of any length, before the text.
TEST(Detector, FindsATextInBrotliAfterMetadata) {
  // "the value is " and kKnown, twice, as libbrotlienc writes them after a block of metadata.
  const std::string text =
      "710480df48ed353f24916d779ecf566b4b1ca7c3e170f85c4a89c2a204488d5255d1c0126df5dd9fcbfae3187b18"
      "9f4a7c59769ae68202";
  const std::string packed = from_hex(text).value();
  auto metadata = [](size_t length, bool first) {
    unsigned header = (0b0110u | 2u << 4 | static_cast<unsigned>(length - 1) << 6) << (first ? 1 : 0);
    std::string block;
    for (int i = 0; i < 3; ++i) block += static_cast<char>(header >> 8 * i & 0xff);
    return block + std::string(length, 'x');
  };
  for (size_t length : {257u, 2000u, 20000u})
    EXPECT_EQ(found(base64(metadata(length, true) + packed)), "deploy (brotli)") << length;
  std::string many = metadata(300, true);
  for (int i = 0; i < 50; ++i) many += metadata(300, false);
  EXPECT_EQ(found(base64(many + packed)), "deploy (brotli)");
  // If there are more blocks than the allowance of work permits, the scan says that it is incomplete.
  std::string empty = "\x0c";  // the first block, without a length
  std::string more = empty + std::string(20000, '\x06') + packed;
  EXPECT_TRUE(Detector(&catalog()).scan(base64(more)).incomplete || found(base64(more)) != "");
}

// A reader that gets such bytes piece by piece decodes all that precedes the mistake.
TEST(Detector, FindsATextInBrotliBeforeAMistake) {
  // "the value is " and kKnown, and a copy of them that has no end.
  const std::string text =
      "0c710480df48ed353f24916d779ecf566b4b1ca7c3e170f85c4a89c2a204488d5255d1c0126df5dd9fcbfae3187b18"
      "9f4a7c59769ae682";
  for (char wrong : {'\xff', '\x3f'})
    EXPECT_EQ(found(base64(from_hex(text).value() + std::string(40, wrong))), "deploy (brotli)") << int{wrong};
}

// With the largest window, brotli of a text of 140 bytes begins with the magic number of gzip.
TEST(Detector, FindsATextInBrotliThatBeginsLikeGzip) {
  // The text has kKnown and words. It was compressed with libbrotlienc.
  const std::string text =
      "1f8b0058e4705daa17cab68742241b24d88003c3c58b705ccc860d388608368e609fe09e6d0527fcfb26ca87c4a0"
      "419f7e2ab19f98ddfd99bfa1c5aee1b203b2d999312cc1198c3106";
  std::string packed = from_hex(text).value();
  ASSERT_TRUE(packed.starts_with("\x1f\x8b"));
  EXPECT_EQ(found(base64(packed)), "deploy (brotli)");
}

// A decoder copies or skips the beginning of these bytes, which looks like text.
TEST(Detector, FindsACompressedTextAfterBytesThatLookLikeText) {
  std::string text = many("Notes of the meeting about the next release. ", 150), secret(kKnown);
  auto length = static_cast<char>(text.size());
  std::string stored = std::string{'\0', length, '\0', static_cast<char>(~length), '\xff'} + text;
  std::string packed = deflated(text + secret + text, -15);
  EXPECT_EQ(found(base64(stored + packed)), "deploy (deflate)");
  EXPECT_EQ(found(to_hex(stored + packed)), "deploy (deflate)");
  // Ordinary texts take none of the attempts, although some begin with the bits of a block of metadata.
  std::string texts;
  for (int i = 0; i < 30; ++i)
    for (const char* each : {"Lorem ipsum dolor sit amet ", "license: MIT, or another one ", "Zebra crossing ahead "})
      texts += base64(each + std::to_string(i)) + " ";
  EXPECT_TRUE(found(texts + base64(packed)).ends_with("deploy (deflate)"));
}

// A matcher that is already in use fails immediately, as it would if its memory were damaged.
TEST(Matcher, SaysWhenItFails) {
  auto matcher = *Matcher::load(credentials_database());
  int matches = 0;
  std::string text = filled("token=ghp_<alnum 36>", 1);
  EXPECT_TRUE(matcher.scan(text, [&](const Match&) {
    ++matches;
    EXPECT_FALSE(matcher.scan(text, [](const Match&) {}));
  }));
  EXPECT_GT(matches, 0);
  EXPECT_FALSE(matcher.scan({text.data(), size_t{1} << 32}, [](const Match&) {})) << "more than it can look at";
}

TEST(Detector, LooksBrieflyAtMatchesThatShareTheirValues) {
  constexpr size_t kSize = 32 * 1024, kMostPerByte = 60;
  for (std::string_view piece : {"token=ghp", "SharedAccessKey=ya", "PRIVATE_KEY=0x", "sk-proj-"}) {
    std::string text = many(piece, kSize);
    EXPECT_LE(Detector(&catalog()).scan(text).judged, kMostPerByte * kSize) << piece;
  }
  // A credential after them is found as a whole, even if it is longer than what is looked at.
  std::string key = filled("DB_PASSWORD=<alnum 200>", 3), text = many("token=ghp ", 1000) + many("token=ghp", kSize);
  auto everything = [](const std::string& in) { return Detector(&catalog(), Effort::thorough).scan(in).findings; };
  auto findings = everything(text + " " + key + " and more");
  ASSERT_FALSE(findings.empty());
  EXPECT_EQ(findings.back().end - findings.back().begin, 200u);
  EXPECT_EQ(findings.back().end, text.size() + 1 + key.size());
  for (const char* each : {"postgres://app:<alnum 60>@db.internal/app",
                           "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,<HEX 32>\n\n"
                           "<base64 64>\n<base64 64>\n"})
    EXPECT_NE(everything(text + " " + filled(each, 3) + " and more").size(), everything(text).size()) << each;
}

// A token extends to the end of its row, so each of these tokens is long.
TEST(Detector, ReadsALongRowOfTokensOnce) {
  constexpr size_t kSize = 32 * 1024, kMostPerByte = 8;
  for (std::string_view piece : {"fio-u-<base64url 64>", "KEY<HEX 32>xoxb-<digits 4>", "glpat-<alnum 20>"}) {
    std::string text;
    for (uint32_t seed = 0; text.size() < kSize; ++seed) text += filled(piece, seed);
    EXPECT_LE(Detector(&catalog()).scan(text).judged, kMostPerByte * kSize) << piece;
  }
  // A stand-in beside such tokens is still recognized, and the tokens do not count as stand-ins.
  std::string token = filled("glpat-<alnum 20>", 3);
  EXPECT_EQ(Detector(&catalog()).scan(token + " glpat-exampleexampleexample " + token).findings.size(), 2u);
  EXPECT_EQ(Detector(&catalog()).scan("glpat-" + std::string(3, 'x') + "example1234567890 " + token).findings.size(),
            1u);
}

// The values of such tokens overlap, and each has a fingerprint.
TEST(Detector, GivesEachOfOverlappingValuesItsFingerprint) {
  std::string text;
  for (uint32_t seed = 0; seed < 40; ++seed)
    text += filled(seed % 2 ? "dop_v1_<hex 64>" : "sgp_<hex 40>", seed) + (seed % 9 == 8 ? " " : "_");
  auto findings = Detector(&catalog()).scan(text).findings;
  EXPECT_GE(findings.size(), 8u);
  for (const Finding& each : findings)
    EXPECT_EQ(each.fingerprint, fingerprint(text.substr(each.begin, each.end - each.begin))) << each.name;
}

// Where the rest is refused anyway, the scan of such a text ends early.
TEST(Detector, EndsWhenItsWorkIsSpent) {
  for (std::string_view piece : {"max_tokens: 40", "rpa_max_tokens: 4096"}) {
    std::string text = many(piece, size_t{32} * 1024);
    auto bounded = Detector(&catalog()).scan(text), thorough = Detector(&catalog(), Effort::thorough).scan(text);
    EXPECT_LE(bounded.work, text.size() * (Detector::kMostWork + 2) + Detector::kFreeWork) << piece;
    EXPECT_TRUE(bounded.incomplete) << piece;
    EXPECT_LT(bounded.judged, thorough.judged) << piece;
    std::string secret = filled(" ghp_<alnum 36> ", 3);
    EXPECT_FALSE(Detector(&catalog(), Effort::thorough).scan(text + secret).findings.empty()) << piece;
  }
}

// These texts decode to nothing and match no pattern, but examining their parts takes long.
TEST(Detector, CountsTheWorkOfExaminingParts) {
  constexpr size_t kSize = 32 * 1024;
  for (const auto& [piece, least] :
       {std::pair("GR1 ", 30), std::pair("MC4 ", 30), std::pair("5<base58 50> ", 15),
        std::pair("000035b0: 4156 4155 4154 4189 ", 14), std::pair("ids=EAA ", 36), std::pair("&a", 4),
        std::pair("\xe2\x80\x8b", 2), std::pair("0.", 10), std::pair("password = B", 20), std::pair("key ", 27),
        std::pair("\\x", 9), std::pair("://0Q~", 10)}) {
    std::string text;
    for (uint32_t seed = 0; text.size() < kSize; ++seed) text += filled(piece, seed);
    EXPECT_GE(Detector(&catalog()).scan(text).work, static_cast<size_t>(least) * kSize) << piece;
  }
}

// A mark of gzip may announce a name of any length, so that all of the rest is read.
TEST(Detector, CountsTheWorkOfDecompressing) {
  constexpr size_t kMarks = 10, kSize = 32 * 1024, kName = 8;
  std::string mark{'\x1f', '\x8b', '\b', kName}, text = many(mark, kMarks * mark.size());
  text += many("some text ", kSize);
  EXPECT_GE(Detector(&catalog()).scan(text).work, kMarks * kSize / 2);
}

// Each byte of this text costs the scanner much work, because the text decodes to texts that are decoded again.
TEST(Detector, BoundsAllWorkOfABlock) {
  constexpr size_t kSize = 32 * 1024, kMost = kSize * Detector::kMostWork + Detector::kFreeWork;
  std::string text;
  for (uint32_t seed = 0; text.size() < kSize; ++seed)
    text +=
        filled(R"(checksum = "<hex 64>"ABSK<base64 20>%3D<alnum 9>\u0041abC8Q~<base64url 12><alnum 9>\u0041)", seed);
  text.resize(kSize);
  auto result = Detector(&catalog()).scan(text);
  EXPECT_LE(result.work, kMost + kSize) << "more than what the last step counts when it is done";
  EXPECT_TRUE(result.incomplete);
  // A secret in the text itself is still found.
  std::string known = text + " " + std::string(kKnown);
  auto is_known = [](const Finding& each) { return each.name == "deploy"; };
  EXPECT_TRUE(std::ranges::any_of(Detector(&catalog()).scan(known).findings, is_known));
}

// Short texts are scanned together, after all others around them have been, which may use up the allowance of work.
TEST(Detector, ScansShortTextsWhenItsWorkIsSpent) {
  constexpr size_t kSize = 32 * 1024, kMarks = 250, kName = 8;
  std::string mark{'\x1f', '\x8b', '\b', kName};  // announces a name, so that all of the rest is read
  std::string costly = many(mark, kMarks * mark.size()) + many("some text ", kSize);
  for (auto effort : {Effort::bounded, Effort::thorough})
    for (const std::string& secret : {"the value is " + std::string(kKnown), filled("the token is ghp_<alnum 36>", 3)})
      for (const std::string& encoded : {base64(secret), each(secret, "%02x")}) {
        auto result = Detector(&catalog(), effort).scan("a " + encoded + " b " + costly);
        EXPECT_TRUE(result.incomplete);
        EXPECT_LE(result.work, 2 * ((kSize + 2048) * Detector::kMostWork + Detector::kFreeWork));
        ASSERT_FALSE(result.findings.empty()) << encoded;
        EXPECT_EQ(result.findings[0].encoding, encoded == base64(secret) ? "base64" : "hex");
      }
}

TEST(Detector, TextsOfToolsTakeLessWorkThanIsAllowed) {
  constexpr size_t kSize = 32 * 1024, kMost = kSize * Detector::kMostWork + Detector::kFreeWork;
  for (std::string_view piece :
       {"[Guid(\"<uuid>\")]\n", "{\"id\": \"<uuid>\", \"parent\": \"<uuid>\"}, ", "<digits 3> <digits 2> <digits 3> ",
        "00000<hex 2>0: <hex 4> <hex 4> <hex 4> <hex 4> <hex 4> <hex 4> <hex 4> <hex 4>  ................\n",
        "    --hash=sha256:<hex 64> \\\n", "<digits 6>.<digits 6>,-<digits 2>.<digits 6>\n",
        "++++--hash%3Dsha256%3A<hex 64>+%5C%0A", "%22<hex 2>%3A<hex 2>%3A<hex 2>%3A<hex 2>%3A<hex 2>%3A<hex 2>%22%2C+",
        "example.org+ssh-ed25519+AAAAC3NzaC1lZDI1NTE5AAAAI<base64 43>%0A", "<hex 32>  src/scan/detector.cc\n",
        "<hex 40>\trefs/pull/<digits 4>/head\n", "DB_PASSWORD=changeme\nAPI_TOKEN=your-token-here\n"}) {
    std::string text;
    for (uint32_t seed = 0; text.size() < kSize; ++seed) text += filled(piece, seed);
    auto result = Detector(&catalog()).scan(text);
    EXPECT_FALSE(result.incomplete) << piece;
    EXPECT_LE(result.work, kMost / 8 * 7) << piece;
  }
}

// Each line of such a dump decodes to text.
TEST(Detector, DumpsTakeLessWorkThanIsAllowed) {
  constexpr size_t kSize = 32 * 1024, kMost = kSize * Detector::kMostWork + Detector::kFreeWork;
  std::string code;
  for (uint32_t seed = 0; code.size() < kSize; ++seed)
    code += filled("  if (<alpha 6>(<alpha 8>, <alpha 2>.<alpha 12>) > <digits 2>) return <alpha 9>;\n", seed);
  for (const std::string& text : {dump(code, "%07zo", 1, false), dump(code, "%08zx ", 1, true),
                                  dump(code, "%08zx:", 2, false), dump(code, "%08zx:", 2, true)}) {
    std::string_view block = std::string_view(text).substr(0, kSize);
    auto result = Detector(&catalog()).scan(block);
    EXPECT_FALSE(result.incomplete) << block.substr(0, 100);
    EXPECT_LE(result.work, kMost / 8 * 7) << block.substr(0, 100);
  }
}

// Returns bytes like those of a program: its code, and tables of numbers in which most bytes are zeros.
std::string program(uint32_t seed, size_t size) {
  std::mt19937 random(seed);
  std::string out(
      "\x7f"
      "ELF\2\1\1\0\0\0\0\0\0\0\0\0",
      16);
  auto number = [&](uint64_t value, size_t bytes) {
    for (; bytes > 0; --bytes, value >>= 8) out += static_cast<char>(value);
  };
  for (uint64_t at = 0x10; out.size() < size / 2; at += 16) {
    number(at, 8), number(random() % 2 ? 8 : 6, 8), number(random() % 0x20000, 8);  // a relocation
    number(at * 3, 4), number(18, 2), number(12, 2), number(random() % 0x20000, 8), number(random() % 900, 8);
  }
  while (out.size() < size) {
    out += std::string_view("\x48\x8b\x48\x89\x0f\xb6\x48\x8d\xff\xe8\x83\xc0\x74\x24", 14).substr(random() % 7 * 2, 2);
    number(random(), 1);
    if (random() % 3 == 0) number(random() % 4000, 4);
  }
  return out;
}

TEST(Detector, ProgramsInBase64Pass) {
  constexpr size_t kSize = 36 * 1024;
  for (uint32_t seed = 0; seed < 8; ++seed)
    for (const auto& [width, line_end] : {std::pair(size_t{76}, "\n"), std::pair(size_t{64}, "\r\n"),
                                          std::pair(size_t{60}, "\\n"), std::pair(SIZE_MAX, "")}) {
      std::string text = "{\"content\": \"" + lines(base64(program(seed, kSize)), width, line_end);
      auto result = Detector(&catalog()).scan(text.substr(0, kSize));
      EXPECT_FALSE(result.incomplete) << seed << " " << width;
      for (const Finding& each : result.findings) ADD_FAILURE() << each.name << " " << seed << " " << width;
    }
}

// Soft-masked DNA in the format FASTA changes its case every few hundred letters, and all of it is of Base32.
TEST(Detector, GenomesTakeLessWorkThanIsAllowed) {
  constexpr size_t kSize = 36 * 1024, kMost = kSize * Detector::kMostWork + Detector::kFreeWork;
  for (size_t longest : {200u, 600u, 2000u})
    for (std::string_view line_end : {"\n", "\\n"}) {
      std::mt19937 random(3);
      std::string letters;
      while (letters.size() < kSize * 60 / 62)
        for (bool small : {false, true})
          for (size_t left = 1 + random() % longest; left > 0; --left)
            letters += (small ? "acgt" : "ACGT")[random() % 4];
      auto result =
          Detector(&catalog()).scan(">chr1 of a genome" + std::string(line_end) + lines(letters, 60, line_end));
      EXPECT_FALSE(result.incomplete) << longest << line_end;
      EXPECT_LE(result.work, kMost / 8 * 7) << longest << line_end;
      EXPECT_TRUE(result.findings.empty());
    }
}

// A guard lets its placeholders pass, and the agent knows them. Repeating one must not cost a hash each time, and other
// values of the same size must not be compared for free.
TEST(Detector, CountsTheWorkOfComparingValues) {
  auto own = *Catalog::builtin(), other = *Catalog::builtin();
  std::string token = filled("glpat-<alnum 20>", 1), different;
  own.allow_value(token);
  own.build(), other.build();
  auto repeated = Detector(&own).scan(many(token + " ", 16 * 1024));
  EXPECT_TRUE(repeated.findings.empty());
  EXPECT_EQ(repeated.hashed, 1u);
  EXPECT_FALSE(repeated.incomplete);
  for (uint32_t seed = 2; seed < 102; ++seed) different += filled("glpat-<alnum 20> ", seed);
  auto compared = Detector(&own).scan(different), free = Detector(&other).scan(different);
  EXPECT_EQ(compared.findings.size(), free.findings.size());
  EXPECT_EQ(compared.hashed, 100u);
  EXPECT_GE(compared.work, free.work + compared.hashed * 400);
}

// Otherwise, noise could hide what comes after it.
TEST(Detector, SaysWhenItsLimitsAreSpent) {
  std::string row = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon\n";
  std::string tokens;
  for (uint32_t seed = 0; seed < 256; ++seed) tokens += filled("glpat-<alnum 20> ", seed);
  for (const auto& [noise, secret] :
       {std::pair(many(std::string("\x78\x9c\x03", 3), 1000), gzipped("the value is " + std::string(kKnown))),
        std::pair(many(row, row.size() * 60), filled("<bip39>", 3)), std::pair(tokens, filled("ghp_<alnum 36>", 7))}) {
    EXPECT_FALSE(Detector(&catalog()).scan(secret).incomplete);
    EXPECT_TRUE(Detector(&catalog()).scan(std::string(noise).append(" ").append(secret)).incomplete)
        << noise.substr(0, 80);
  }
  std::string text = many("\u0434\u043b\u044f x^2 \u0438 x^3, ", 16 * 1024);
  EXPECT_FALSE(Detector(&catalog()).scan(text).incomplete) << "a formula in a text is not a mark";
}

// What is not scanned passes where nothing is refused, so more is scanned there.
TEST(Detector, KeepsMoreFindingsIfNothingIsRefused) {
  std::string tokens;
  for (uint32_t seed = 0; seed < 400; ++seed) tokens += filled("glpat-<alnum 20> ", seed);
  EXPECT_EQ(Detector(&catalog()).scan(tokens).findings.size(), 256u);
  auto result = Detector(&catalog(), Effort::thorough).scan(tokens);
  EXPECT_EQ(result.findings.size(), 400u);
  EXPECT_FALSE(result.incomplete);
}

// What would be found in a decoded text could not be reported.
TEST(Detector, DecodesNothingWithoutRoomForFindings) {
  std::string tokens;
  for (uint32_t seed = 0; seed < 600; ++seed) tokens += filled("glpat-<alnum 20> ", seed);
  auto result = Detector(&catalog()).scan(tokens + base64("the value is " + std::string(kKnown)));
  EXPECT_TRUE(result.full);
  EXPECT_TRUE(result.incomplete);
  EXPECT_EQ(result.decoded, 0u);
}

TEST(Detector, ScansADumpOnce) {
  std::mt19937 random(5);
  std::string bytes;
  while (bytes.size() < 6 * 1024) {
    for (size_t i = 0; i < 40; ++i) bytes += static_cast<char>(random());
    bytes += "some text between them";
  }
  for (const std::string& text : {dump(bytes, "%08zx:", 2, false), dump(bytes, "%08zx ", 1, false)}) {
    auto result = Detector(&catalog()).scan(text);
    EXPECT_FALSE(result.incomplete);
    EXPECT_TRUE(result.findings.empty());
    EXPECT_LE(result.decoded, 2 * text.size());
  }
}

// The dumps end before the groups that let the scan search for a dump.
TEST(Detector, ScansShortDumpsOnce) {
  std::string offsets;
  for (char at = 0; at < 40; at += 2) offsets += at;
  std::string lines = each(offsets, "%04x 41 42\n");
  lines += "a b c d e f g h i j k l m n o p q r s t u v w x y z\n";
  std::string text = many(lines, 32 * 1024);
  auto result = Detector(&catalog()).scan(text);
  EXPECT_FALSE(result.incomplete);
  EXPECT_LE(result.work, 18 * text.size());
}

// The pairs of digits in a line of od(1) include two digits of an offset.
TEST(Detector, ScansThePairsOfADumpOnce) {
  std::string code;
  for (uint32_t seed = 0; code.size() < 8 * 1024; ++seed)
    code += filled("  if (<alpha 6>(<alpha 8>)) return <alpha 9>;\n", seed);
  std::string text = dump(code, "%07zo", 1, false);
  for (char space : {' ', '+'}) {
    std::ranges::replace(text, ' ', space);
    auto result = Detector(&catalog()).scan(text);
    EXPECT_LE(result.decoded, 5 * code.size() / 2) << space;
  }
}

std::string each_byte(std::string_view text) { return each(text, "%02x"); }

// Short decoded texts are scanned together, but each is a text of its own.
TEST(Detector, FindsEachOfManyShortTexts) {
  std::string text, secret = "the value is " + std::string(kKnown);
  std::vector<std::pair<size_t, size_t>> expected, actual;
  for (size_t i = 0; i < 30; ++i) {
    // These are the same text and others, at several alignments and in several encodings.
    std::string before(i % 4, 'x');
    for (const std::string& each : {base64(before + secret), each_byte(before + secret)}) {
      text += filled("<hex 20> some words <base64 40> ", static_cast<uint32_t>(i));
      expected.emplace_back(text.size(), text.size() + each.size());
      text += each + " and others ";
    }
  }
  for (const Finding& each : Detector(&catalog()).scan(text).findings) {
    EXPECT_EQ(each.name, "deploy");
    actual.emplace_back(each.begin, each.end);
  }
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_GT(actual[i].first, expected[i].first) << "only the secret itself";
    EXPECT_LT(actual[i].first, expected[i].second);
    EXPECT_LE(actual[i].second, expected[i].second);
    // Padding belongs to the last byte, and a run does not.
    EXPECT_GE(actual[i].second + 2, expected[i].second);
  }
}

// Two halves of a credential in two such texts are not a credential.
TEST(Detector, DoesNotJoinShortTexts) {
  std::string token = filled("ghp_<alnum 36>", 5), words = "some words ";
  auto encoded = [&](std::string_view part) { return base64(words + std::string(part)); };
  EXPECT_NE(found(encoded(token) + " " + encoded("others")), "");
  EXPECT_EQ(found(encoded("api_key = ") + " " + base64(filled("<alnum 32> and more words", 2))), "");
}

// Returns the state of MurmurHash64A after the text, whose size is a multiple of 8. `size` is that of the whole text.
constexpr uint64_t kMurmur = 0xc6a4a7935bd1e995;
uint64_t murmur(std::string_view text, size_t size) {
  constexpr uint64_t kSeed = 0xc70f6907;
  uint64_t hash = kSeed ^ (size * kMurmur);
  for (size_t at = 0; at < text.size(); at += sizeof hash) {
    uint64_t bytes;
    std::memcpy(&bytes, text.data() + at, sizeof bytes);
    bytes *= kMurmur;
    hash = (hash ^ (bytes ^ bytes >> 47) * kMurmur) * kMurmur;
  }
  return hash;
}

// Appends eight bytes to `text`, so that std::hash of libstdc++, which is MurmurHash64A, is that of `other`.
std::string with_hash_of(std::string_view other, std::string text) {
  uint64_t inverse = kMurmur;
  for (int i = 0; i < 6; ++i) inverse *= 2 - kMurmur * inverse;
  uint64_t bytes = (murmur(other, other.size()) * inverse ^ murmur(text, other.size())) * inverse;
  bytes = (bytes ^ bytes >> 47) * inverse;
  text.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  return text;
}

// A text that was scanned is not scanned again. An agent must not be able to make another one pass for it.
TEST(Detector, TellsTextsWithEqualHashesApart) {
  std::string secret = "the value is " + std::string(kKnown) + " and more", harmless = "nothing is hidden in this text";
  for (std::string* each : {&secret, &harmless}) each->resize(48, '.');
  harmless.resize(40);
  harmless = with_hash_of(secret, harmless);
  ASSERT_EQ(std::hash<std::string_view>{}(harmless), std::hash<std::string_view>{}(secret)) << "another library";
  for (auto encoded :
       {+[](std::string_view text) { return base64(text); }, +[](std::string_view text) { return each(text, "%02x"); }})
    EXPECT_NE(found(encoded(harmless) + " " + encoded(secret)), "");
}

TEST(Detector, DecodesTheSameTextOnce) {
  constexpr size_t kSize = 32 * 1024;
  std::string text = many(R"(\u0041 some words between them %41 and after them )", kSize);
  EXPECT_LE(Detector(&catalog()).scan(text).decoded, 3 * kSize);
}

}  // namespace
}  // namespace bottle::scan
