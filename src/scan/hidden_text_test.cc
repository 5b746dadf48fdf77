// Checks what the detector finds in compressed data, encoded or not, in dumps, and in other forms of known secrets.
#include <gtest/gtest.h>

#include "base/text/json.h"
#include "base/text/words.h"
#include "scan/content/compress_test.h"
#include "scan/disguise_test.h"
#include "scan/rule_examples.h"

namespace bottle::scan {
namespace {

TEST(Detector, FindsSecretsInZipFiles) {
  std::string token = filled("ghp_<alnum 36>", 2), harmless;
  for (int i = 0; i < 300; ++i) harmless += "line " + std::to_string(i) + " of a file\n";
  std::string file = zip_entry("a", harmless) + zip_entry("b/.env", "TOKEN=" + token + "\n" + harmless);
  EXPECT_EQ(found(file), "github-token (zip)");
  EXPECT_EQ(found("--xx\r\nContent-Type: application/zip\r\n\r\n" + file + "\r\n--xx--"), "github-token (zip)");
  EXPECT_EQ(found(base64(file)), "github-token (zip in base64)");
  EXPECT_EQ(found(zip_entry("a", harmless)), "");
  EXPECT_EQ(found("PK\3\4 and text\3\4"), "");
}

// The header of a small zip file is not text, so only its magic number shows that something is hidden.
TEST(Detector, FindsSmallZipFilesThatAreEncoded) {
  std::string token = filled("ghp_<alnum 36>", 2);
  for (const std::string& file :
       {zip_entry("a", token), zip_entry("a.txt", "TOKEN=" + token + filled("<alnum 2000>", 3))}) {
    for (std::string before : {"", "x"}) {
      EXPECT_EQ(found("see " + before + base64(file)), "github-token (zip in base64)") << before;
      EXPECT_EQ(found("see " + lines(before + base64(file), 60, "\n")), "github-token (zip in base64)") << before;
    }
    for (std::string before : {"", "X"})
      EXPECT_EQ(found("see " + before + base32(file)), "github-token (zip in base32)") << before;
    for (size_t spaces = 0; spaces < 64; ++spaces)
      EXPECT_EQ(found(std::string(spaces, ' ') + "[" + each(file, "%d", ", ") + "]"), "github-token (zip in decimal)")
          << spaces;
  }
}

// The numbers may begin anywhere in a block of the survey, even near its end.
TEST(Detector, FindsCompressedNumbersAtEveryPosition) {
  std::string token = filled("ghp_<alnum 36>", 7), large;
  for (int i = 0; i < 40; ++i) large += std::to_string(200 + i) + ", ";
  for (const auto& [name, packed] :
       {std::pair("gzip", gzipped(token)), std::pair("deflate", deflated(token, 15)), std::pair("zstd", zstd(token))})
    for (const std::string& before : {std::string(), large}) {
      for (size_t spaces = 0; spaces < 64; ++spaces)
        EXPECT_EQ(found(std::string(spaces, ' ') + "[" + before + each(packed, "%d", ", ") + "]"),
                  "github-token (" + std::string(name) + " in decimal)")
            << spaces << before;
    }
}

TEST(Detector, FindsASecretInAZstdFrameAfterManyMagicNumbers) {
  std::string marks = many(std::string("\x28\xb5\x2f\xfd\x08 some text", 15), 3 * 1024);
  std::string secret = "value=" + std::string(kKnown) + filled("<hex 600>", 5);
  EXPECT_EQ(found(marks + zstd(secret)), "deploy (zstd)");
}

// What follows the limit of decompressed bytes is not scanned, so the range of a finding has all packed bytes.
TEST(Detector, CoversThePackedBytesBeyondTheLimit) {
  std::string text = "value=" + std::string(kKnown) + "\n", longest = text;
  while (longest.size() < 2 * Detector::kMostUnpacked) longest += "line " + std::to_string(longest.size()) + "\n";
  longest += text;
  for (const auto& [packed, whole] :
       {std::pair(gzipped(longest), true), std::pair(zstd(longest), true), std::pair(zip_entry("a", longest), true),
        std::pair(base64(gzipped(longest)), true), std::pair(each(gzipped(longest), "%02x"), true),
        std::pair(base64(deflated(longest, -15)), true), std::pair(gzipped(text), false),
        std::pair(base64(gzipped(text)), false)}) {
    std::string block = "see " + packed + " and more";
    auto findings = Detector(&catalog()).scan(block).findings;
    ASSERT_FALSE(findings.empty()) << packed.substr(0, 100);
    EXPECT_EQ(findings[0].begin, 4u);
    if (whole) EXPECT_GE(findings[0].end, 4 + packed.find_last_not_of('=') + 1) << packed.substr(0, 100);
    else EXPECT_LE(findings[0].end, 4 + packed.size()) << packed.substr(0, 100);
  }
}

// Returns the container of each format with a token in it.
std::vector<std::pair<std::string, std::string>> containers() {
  std::string token = filled("ghp_<alnum 36>", 2);
  return {{"gzip", gzipped(token)},
          {"deflate", deflated(token, 15)},
          {"zstd", zstd(token)},
          {"zip", zip_entry("a", token)},
          {"zip", zip_entry("a.txt", "TOKEN=" + token + filled("<alnum 2000>", 3))}};
}

// Nothing separates the encoded bytes from the digits before them, so they begin at any alignment. A row of one digit
// decodes to nothing, but the bytes after it must still be found.
TEST(Detector, FindsCompressedDataThatIsEncodedAtEveryAlignment) {
  for (const auto& [format, packed] : containers())
    for (size_t count = 0; count < 12; ++count) {
      std::vector<std::string> texts;
      for (std::string_view before : {"x7Kq_zPw-3Ab", "AAAAAAAAAAAA"})
        for (const std::string& coded : {base64(packed), base64(packed, true, false), lines(base64(packed), 60, "\n")})
          texts.push_back(std::string(before.substr(0, count)) + coded);
      for (std::string_view before : {"X7KQZPW3ABCD", "x7kqzpw3abcd"})
        for (const std::string& coded : {base32(packed), lower(base32(packed))})
          texts.push_back(std::string(before.substr(0, count)) + coded);
      for (std::string_view before : {"4f0a9c37b2d1", "000000000000"})
        texts.push_back(std::string(before.substr(0, count)) + each(packed, "%02x"));
      for (const std::string& text : texts)
        EXPECT_TRUE(found("see " + text).starts_with("github-token (")) << format << ": " << text;
    }
}

TEST(Detector, FindsCompressedNumbersInTheMiddleOfAList) {
  for (const auto& [format, packed] : containers())
    for (std::string_view number : {"1, ", "7,", "80, ", "75 ", "200, ", "255,", "300, "})
      for (size_t before : {1u, 2u, 3u, 9u, 21u, 22u, 23u, 64u, 200u})
        EXPECT_EQ(found("[" + many(number, before * number.size()) + each(packed, "%d", ", ") + "]"),
                  "github-token (" + format + " in decimal)")
            << format << " after " << before << " times " << number;
}

// Few characters of Base64 need an escape, and the parts between them are compressed data without a beginning.
TEST(Detector, FindsCompressedDataInBase64WithFewEscapes) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    std::string token = filled("ghp_<alnum 36>", seed), text = filled("<alnum 150> ", seed) + token;
    for (const auto& [format, packed] : {std::pair("gzip", gzipped(text)), std::pair("deflate", deflated(text, 15)),
                                         std::pair("zip", zip_entry("a", text))}) {
      std::string in_query, in_json;
      for (char c : base64(packed)) {
        in_query += c == '+' ? "%2B" : c == '/' ? "%2F" : c == '=' ? "%3D" : std::string(1, c);
        in_json += c == '/' ? "\\/" : std::string(1, c);
      }
      for (const std::string& each : {"GET /search?q=" + in_query + "&page=2", "{\"a\": \"" + in_json + "\"}"})
        EXPECT_NE(found(each).find("github-token"), std::string::npos) << format << ": " << each;
    }
  }
}

// Writes bytes like Python's repr(), or all of them in octal.
std::string literal(std::string_view bytes, bool octal) {
  std::string out;
  for (char c : bytes) {
    auto byte = std::string_view(&c, 1);
    if (octal) out += each(byte, "\\%03o");
    else if (c == '\\' || c == '\'') out += {'\\', c};
    else if (c == '\n' || c == '\r' || c == '\t') out += {'\\', c == '\n' ? 'n' : c == '\r' ? 'r' : 't'};
    else out += c >= ' ' && c < 0x7f ? std::string(byte) : each(byte, "\\x%02x");
  }
  return out;
}

TEST(Detector, FindsCompressedDataInLiterals) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::string text =
        "the token is " + filled("ghp_<alnum 36>", seed) + ", and these words follow it " + filled("<alnum 90>", seed);
    for (int window : {31, 15})
      for (bool octal : {false, true}) {
        std::string bytes = "b'" + literal(deflated(text, window), octal) + "'";
        std::string expected = window == 31 ? "github-token (gzip in escapes)" : "github-token (deflate in escapes)";
        EXPECT_EQ(found("print(" + bytes + ")\n"), expected) << bytes;
        EXPECT_EQ(found(nlohmann::json{{"out", "x = " + bytes}}.dump()), expected) << bytes;
      }
  }
}

// The first bytes after the header of zlib may look like text.
TEST(Detector, FindsCompressedDataThatBeginsLikeText) {
  constexpr size_t kHeader = 2, kText = 9;
  size_t tried = 0;
  for (unsigned seed = 0; seed < 400 && tried < 3; ++seed)
    for (std::string_view words : {"data rare lava ", "radar data data ", "area radar area ", "data radar and "}) {
      std::string packed = deflated(std::string(words) + filled("ghp_<alnum 36>", seed), 15);
      std::string_view first = std::string_view(packed).substr(kHeader, kText);
      if (!std::ranges::all_of(first, [](char c) { return c >= ' ' && c < 0x7f; })) continue;
      ++tried;
      std::string bytes = "b'" + literal(packed, false) + "'";
      EXPECT_EQ(found("print(" + bytes + ")\n"), "github-token (deflate in escapes)") << bytes;
      EXPECT_EQ(found(nlohmann::json{{"out", "x = " + bytes}}.dump()), "github-token (deflate in escapes)") << bytes;
    }
  EXPECT_GE(tried, 3u);
}

TEST(Detector, FindsCompressedDataAfterOtherEscapes) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    std::string text =
        "the token is " + filled("ghp_<alnum 36>", seed) + ", and these words follow it " + filled("<alnum 90>", seed);
    for (int window : {31, 15}) {
      std::string bytes = "b'" + literal(deflated(text, window), false) + "'";
      std::string expected = window == 31 ? "github-token (gzip in escapes)" : "github-token (deflate in escapes)";
      std::string program = "x = re.sub(\"(a)\", \"\\\\1\", y)\n", code = "y = re.sub('(a)', '\\\\1', 'x')";
      EXPECT_EQ(found(program + "print(" + bytes + ")\n"), expected) << bytes;
      EXPECT_EQ(found(nlohmann::json{{"cmd", code}, {"out", bytes}}.dump()), expected) << bytes;
    }
  }
}

// Writes one literal for each `size` bytes, as pprint() of Python does.
std::string literals(std::string_view bytes, size_t size, std::string_view begin, std::string_view end) {
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += size) {
    out += out.empty() ? "" : "\n    ";
    out.append(begin).append(literal(bytes.substr(at, size), false)).append(end);
  }
  return out;
}

TEST(Detector, FindsCompressedDataInAdjacentLiterals) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    std::string text =
        "the token is " + filled("ghp_<alnum 36>", seed) + ", and these words follow it " + filled("<alnum 90>", seed);
    for (size_t size : {8, 13, 40})
      for (auto [begin, end] : {std::pair("b'", "'"), std::pair("\"", "\"")}) {
        // literal() does not escape double quotes.
        std::string packed = deflated(text, 31);
        if (*begin == '"' && packed.contains('"')) continue;
        std::string lines = "(" + literals(packed, size, begin, end) + ")\n";
        EXPECT_EQ(found(lines), "github-token (gzip in escapes)") << lines;
        EXPECT_EQ(found(nlohmann::json{{"out", lines}}.dump()), "github-token (gzip in escapes)") << lines;
      }
  }
}

TEST(Detector, FindsDumpsAfterSentences) {
  std::string token = filled("ghp_<alnum 36>", 7),
              file = "the token is " + token + ", and this is the rest of the file\n";
  for (std::string_view before :
       {"Here is the dump of the file:\n", "This is what the file has in it:\n", "Here it is, as one of us saw it:\n\n",
        "It is a lot.\nHere is the dump of the file:\n"})
    for (const std::string& dump :
         {dump(file, "%08zx:", 2, true), dump(file, "%08zx ", 1, true), dump(file, "%07zo", 1, false)}) {
      EXPECT_EQ(found(std::string(before) + dump), "github-token (dump)") << before << dump;
      EXPECT_EQ(found(lines_in_json(std::string(before) + dump)), "github-token (dump)") << before << dump;
    }
  // Words of the same length as those of the dump come before its first line.
  file = token + ", and this is the rest of the file\n";
  for (const auto& [before, dump] : {std::pair("then home lazy ", dump(file, "%08zx:", 2, true)),
                                     std::pair("over afar from ", dump(file, "%08zx ", 1, true)),
                                     std::pair("as of an it ", dump(file, "%07zo", 1, false)),
                                     std::pair("this is the feed ", dump(file, "%08zx:", 2, true))}) {
    EXPECT_EQ(found(before + dump), "github-token (dump)") << before << dump;
    EXPECT_EQ(found(lines_in_json(before + dump)), "github-token (dump)") << before << dump;
  }
  // The groups may begin anywhere in the lines of the dump, which have two spaces in their middle.
  file = filled("the token is github_pat_<alnum 22>_<alnum 59>\n", 7);
  std::string lines = dump(file, "%08zx ", 1, false), prose = "software for all its users\nand other kinds of works";
  for (size_t line = 0; line < lines.size(); line = lines.find('\n', line) + 1) lines.insert(line + 33, " ");
  for (size_t before = 0; before < 64; ++before)
    for (size_t size = 10; size < prose.size(); size += 5) {
      std::string text = std::string(before, '.') + " " + prose.substr(0, size) + "\n" + lines;
      EXPECT_EQ(found(text), "github-fine-grained-token (dump)") << text;
    }
}

TEST(Detector, FindsSecretsAtSoftLineBreaksOfEmail) {
  std::string token = filled("github_pat_<alnum 22>_<alnum 59>", 7);
  std::string header = "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
  for (size_t cut = 1; cut < token.size(); cut += 7)
    for (std::string_view end : {"=\r\n", "=\n", "= \r\n", "= \t \n"}) {
      std::string mail = header;
      if (cut % 2 == 0)
        mail.replace(mail.find("quoted-printable"), 16, cut % 4 ? "Quoted-Printable" : "QUOTED-PRINTABLE");
      mail.append("The token is ").append(token);
      mail.insert(mail.size() - token.size() + cut, end);
      std::string body = mail + "\r\nand more\r\n";
      EXPECT_EQ(found(body), "github-fine-grained-token (quoted-printable)") << body;
      EXPECT_EQ(found(nlohmann::json{{"raw", body}}.dump()), "github-fine-grained-token (quoted-printable)") << body;
      EXPECT_EQ(found(base64(body)), "github-fine-grained-token (quoted-printable in base64)") << body;
    }
  std::string program = "x = \"quoted-printable\"\nif token ==\ny =\n" + token.substr(0, 40);
  EXPECT_EQ(found(program), "");
}

TEST(Detector, FindsWhatIsEncodedInQuotedPrintable) {
  std::string header = "Content-Transfer-Encoding: quoted-printable\r\n\r\n", between = "=\r\n";
  std::string token = filled("ghp_<alnum 36>", 7), sentence = "The token of the account is " + token + " and no other.";
  for (const auto& [name, encoded] :
       {std::pair("base64", base64(sentence, false, false)), std::pair("hex", each(sentence, "%02x")),
        std::pair("percent", each(token, "%%%02X")), std::pair("escapes", each(token, "\\u%04x")),
        std::pair("escapes", each(token, "&#%d;")),
        std::pair("base64 in base64", base64(base64(sentence), false, false)),
        std::pair("decimal", each(sentence, "%d", ", "))})
    for (size_t width : {75, 71, 29}) {
      std::string mail = header + lines(encoded, width, between) + "\r\n";
      EXPECT_TRUE(found(mail).starts_with("github-token (" + std::string(name))) << found(mail) << ": " << mail;
    }
}

TEST(Detector, FindsSecretsAmongTheDigitsOfMails) {
  std::string header = "Content-Transfer-Encoding: Quoted-Printable\r\n\r\n", token = filled("<alnum 36>", 7);
  std::string mail = header + "<a href=3D\"x\">ghp=5F" + token + "</a>\r\n";
  auto findings = Detector(&catalog()).scan(mail).findings;
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].name + findings[0].encoding, "github-tokenquoted-printable");
  EXPECT_EQ(mail.substr(findings[0].begin, findings[0].end - findings[0].begin), "ghp=5F" + token);
  // Outside of the digits, the token is as it was.
  EXPECT_EQ(found(header + "x=3Dy ghp_" + token + "\r\n"), "github-token");

  auto secrets = *Catalog::builtin();
  secrets.add_known("pass", "hunter=2secretlongword77=");
  secrets.build();
  for (std::string_view text : {"hunter=3D2secretlongword77=3D", "hunter=3d2secret=\r\nlongword77=3D"}) {
    mail = header;
    mail.append("It is ").append(text).append(".\r\n");
    findings = Detector(&secrets).scan(mail).findings;
    ASSERT_EQ(findings.size(), 1u) << mail;
    EXPECT_EQ(mail.substr(findings[0].begin, findings[0].end - findings[0].begin), text);
  }
}

// Binary digits of ASCII characters have a first digit that is the same in all of them.
TEST(Detector, FindsBinaryDigitsWithSeparators) {
  std::string token = filled("ghp_<alnum 36>", 7);
  for (std::string_view before : {"", "bits: ", "this is "})
    for (std::string_view mark : {" ", ", ", ",", "\n", "\\n", "-", "\", \"", " 0b", ", 0b"}) {
      std::string bits = lines(each_bit(token), 8, mark);
      std::string text = std::string(before) + (mark.ends_with("0b") ? "0b" : "") + bits;
      EXPECT_EQ(found(text), "github-token (binary in groups)") << text;
      // The digits have few different characters.
      for (const char* format : {"%02x", "%02X"})
        EXPECT_EQ(found(each(text, format)), "github-token (binary in groups in hex)") << text;
    }
  EXPECT_EQ(found(each(each_bit(token), "%02x")), "github-token (binary in hex)");
}

TEST(Detector, FindsWideCharactersOfFourBytes) {
  auto catalog = *Catalog::builtin();
  for (const char* secret : {"hQ7#x9Lw", "p@ss/W0rd+x=9\"", "two words 77"}) catalog.add_known("pass", secret);
  catalog.build();
  for (std::string text : {"hQ7#x9Lw", "p@ss/W0rd+x=9\"", "two words 77", "the key is hQ7#x9Lw, and more"})
    for (bool big : {false, true})
      for (size_t before : {0, 1, 2, 3, 50, 61}) {
        std::string wide(before, 'x');
        for (char c : text) wide += big ? std::string{'\0', '\0', '\0', c} : std::string{c, '\0', '\0', '\0'};
        auto findings = Detector(&catalog).scan(wide + "and more").findings;
        ASSERT_EQ(findings.size(), 1u) << text << big << before;
        EXPECT_EQ(findings[0].encoding, "utf-32");
      }
}

TEST(Detector, FindsSecretsInForms) {
  auto catalog = *Catalog::builtin();
  catalog.add_known("phrase", "correct horse 42 battery staple");
  catalog.add_known("foreign", "gr\xc3\xbc\xc3\x9f gott 77");
  catalog.build();
  auto names = [&](const std::string& text) {
    std::string out;
    for (const auto& each : Detector(&catalog).scan(text).findings) out += each.name + " ";
    return out;
  };
  EXPECT_EQ(names("pw=correct+horse+42+battery+staple"), "phrase ");
  EXPECT_EQ(names("pw=Correct+Horse+42+battery+staple&x=%2B"), "phrase ");
  EXPECT_EQ(names("pw=gr%C3%BC%C3%9F+gott+77&a=1"), "foreign ");
  EXPECT_EQ(names("h=Authorization%3A+Bearer+" + filled("<alnum 40>", 3) + "&a=1"), "http-bearer ");
  EXPECT_EQ(names("a=1&h=machine+git.example.net+login+me+password+" + filled("<alnum 20>", 3) + "%0A"), "netrc ");
  std::string key = filled("-----BEGIN+ENCRYPTED+PRIVATE+KEY-----%0D%0A<alnum 64>%0D%0A<alnum 64>%0D%0A", 3);
  auto found = Detector(&catalog).scan("key=" + key + "-----END+ENCRYPTED+PRIVATE+KEY-----").findings;
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].name, "private-key");
  EXPECT_EQ(found[0].begin, 4u);
  EXPECT_GE(found[0].end, key.size() - 6);
}

// `od -An -t x1` writes such lines.
TEST(Detector, FindsPairsOfDigitsInLinesWithoutOffsets) {
  std::string text = "and the token is " + filled("ghp_<alnum 36>", 3) + " as you know";
  for (std::string_view line_end : {"\n", "\r\n", "\n ", "\\n ", "\\\\n  "}) {
    std::string lines;
    for (size_t at = 0; at < text.size(); at += 16) lines += each(text.substr(at, 16), " %02x").append(line_end);
    EXPECT_EQ(found(lines), "github-token (hex)") << lines;
  }
}

// A plus is a digit of Base64, so words or a dump in a form look like one long text in Base64.
TEST(Detector, ReadsTheWordsOfAFormOnce) {
  constexpr size_t kSize = 32 * 1024, kMostPerByte = 37;
  std::string dump;
  for (uint32_t seed = 0; dump.size() < kSize; ++seed)
    dump += filled("0<digits 6>+<hex 8>+<hex 8>+<hex 8>+<hex 8>%0A", seed);
  auto result = Detector(&catalog()).scan(dump);
  EXPECT_FALSE(result.incomplete);
  EXPECT_LE(result.work, kMostPerByte * kSize);
  std::string token = base64("the token is " + filled("ghp_<alnum 36>", 3) + " and more");
  std::string words = "x=%3Cand+here+is+the+token+that+you+asked+for+last+week+";
  EXPECT_EQ(found(words + token), "github-token (base64)");
  EXPECT_EQ(found(words + token + "+" + words), "github-token (base64)");
  EXPECT_EQ(found(words + token.substr(0, token.size() / 2) + "%0A" + token.substr(token.size() / 2) + "+and+so+on"),
            "github-token (base64 in percent)");
}

// Whoever sends compressed bytes, or bytes around a secret, can choose them so that their Base64 has many pluses.
TEST(Detector, DecodesBase64WithAPlusInEveryWord) {
  std::string token = "the token is " + filled("ghp_<alnum 36>", 3), packed("\x78\x01", 2);
  uint32_t low = 1, high = 0;  // the checksum of zlib
  for (size_t i = 0; i < token.size(); ++i) {
    packed += std::string(i + 1 < token.size() ? "\0\1\0\xfe\xff" : "\1\1\0\xfe\xff", 5) + token[i];
    low = (low + static_cast<unsigned char>(token[i])) % 65521, high = (high + low) % 65521;
  }
  for (uint32_t part : {high >> 8, high, low >> 8, low}) packed += static_cast<char>(part);
  EXPECT_EQ(found(base64(packed)), "github-token (deflate)");
  auto own = *Catalog::builtin();
  own.add_known("pass", "x8Kd!2m~Qp4z#L9w");
  own.build();
  std::string text = base64(std::string(25, '>') + "x8Kd!2m~Qp4z#L9w" + std::string(24, '>'));
  EXPECT_EQ(Detector(&own).scan(text).findings.size(), 1u) << text;
}

// The key begins with "0x", or one of its pieces has only hexadecimal digits.
TEST(Detector, FindsKnownHexadecimalKeysInPairs) {
  std::string digits = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
  for (std::string_view before : {"0x", "", "a key and "}) {
    auto own = *Catalog::builtin();
    own.add_known("key", std::string(before) + digits);
    own.build();
    for (std::string_view between : {" ", ",", ":"}) {
      std::string text = "0x";
      for (size_t at = 0; at < digits.size(); at += 2) text += std::string(between) + digits.substr(at, 2);
      auto result = Detector(&own).scan(text);
      EXPECT_TRUE(std::ranges::count(result.findings, "key", &Finding::name) > 0) << before << " in " << text;
    }
  }
}

TEST(Detector, FindsSecretsInFormsWithoutEscapes) {
  for (const auto& [text, name] :
       {std::pair("the+password+is+<alnum 20>7+and+then", "assignment"),
        std::pair("tool+--api-key+<alnum 20>7+run", "assignment"),
        std::pair("kubeadm+join+--token+abcdef.<base36 16>", "kubeadm-token"),
        std::pair("SSWS+00<base64url 40>", "okta-token"), std::pair("pay+with+card+4<card 15>+now", "payment-card"),
        std::pair("seed+<bip39>+and+more", "bip39-words"), std::pair("<bip39>", "bip39-words")}) {
    std::string form = filled(text, 3);
    std::ranges::replace(form, ' ', '+');
    for (std::string_view before : {"", "lang=en&", "first=%41%42%43&far="})
      for (size_t far : {0, 300})
        for (std::string_view after : {"", "&x=1", "&x=%2B"}) {
          std::string all = std::string(before) + std::string(far, 'x') + "&content=" + form + std::string(after);
          auto findings = Detector(&catalog()).scan(all).findings;
          ASSERT_EQ(findings.size(), 1u) << all;
          EXPECT_EQ(findings[0].name, name) << all;
          EXPECT_EQ(findings[0].encoding, "");
          EXPECT_GE(findings[0].begin, before.size() + far + 9) << all;
        }
    // It is not a form, so a plus stands for itself.
    EXPECT_EQ(found("content = " + form), "");
    EXPECT_EQ(found(form), "");
  }
  EXPECT_EQ(found("a=+abandon+ability+able+about+above+absent+absorb+abstract+absurd+abuse+access+a"), "");
}

// Only the patterns that may have a space see the second reading.
TEST(Detector, FindsValuesBesidePlusSigns) {
  for (std::string text :
       {"client_secret%3A%0A++%22<alnum 20>7%22%0A", "api_tokens%3A%0A++-+<alnum 20>7%0A",
        "-+name%3A+DB_PASSWORD%0A++value%3A+<alnum 20>7%0A", "const+apiKey%3A+string+%3D+%22<alnum 20>7%22%3B",
        "and+more%3A+SECRET_KEY_BASE%3D<hex 128>+and+then", "db.internal%3A5432%3Amain%3Aapp%3A<alnum 20>7+and+then"})
    EXPECT_NE(found("content=" + filled(text, 3)).find("assignment"), std::string::npos) << text;
  std::string examples;
  while (examples.size() < 64 * 1024) examples += "password%3A+example%0A%23+the+password+of+the+user%0A";
  EXPECT_FALSE(Detector([] {
                 static auto catalog = *Catalog::builtin();
                 catalog.build();
                 return &catalog;
               }())
                   .scan(examples)
                   .incomplete);
}

// The decoder of UTF-16 drops only zeros, so it would leave other bytes in such a secret.
TEST(Detector, FindsKnownSecretsBeyondLatin1InUtf16) {
  const std::string value = "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87-\xe2\x82\xac-9Kq7";
  const std::u16string wide = u"\u043a\u043b\u044e\u0447-\u20ac-9Kq7";
  auto catalog = *Catalog::builtin();
  catalog.add_known("pass", value);
  catalog.build();
  for (bool big : {false, true}) {
    std::string text;
    for (char16_t c : wide) {
      char high = static_cast<char>(c >> 8), low = static_cast<char>(c);
      text += big ? std::string{high, low} : std::string{low, high};
    }
    std::string sentence = utf16("the phrase is ", big) + text + utf16(" and more", big);
    for (const std::string& hidden : {sentence, text, "x " + base64(sentence), "x " + base64(text)}) {
      auto findings = Detector(&catalog).scan(hidden).findings;
      ASSERT_EQ(findings.size(), 1u) << big << hidden;
      EXPECT_EQ(findings[0].name, "pass");
    }
  }
}

TEST(Detector, FindsHexadecimalDigitsInReverseOrderInDumpsAndPairs) {
  auto reversed = [](std::string_view value) {
    std::string out(value.rbegin(), value.rend());
    for (char& c : out) c = static_cast<char>((c & 15) << 4 | (c >> 4 & 15));
    return out;
  };
  for (size_t word : {1u, 2u})
    EXPECT_NE(found(dump(std::string(10, 9) + reversed(kKnown), "%08zx:", word, true)), "") << word;
  auto own = *Catalog::builtin();
  own.add_known("pin", "Kq7-Zm93vXe");
  own.build();
  EXPECT_FALSE(Detector(&own).scan("bytes " + each(reversed("Kq7-Zm93vXe"), "%02x", " ") + " .").findings.empty());
}

}  // namespace
}  // namespace bottle::scan
