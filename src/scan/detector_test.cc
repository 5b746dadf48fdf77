// Checks what the detector finds in a block, which is known secrets and credentials in every encoding, and
// what it ignores.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/text/json.h"
#include "scan/content/compress_test.h"
#include "scan/disguise_test.h"
#include "scan/rule_examples.h"

namespace bottle::scan {
namespace {

// Each secret is tried in each encoding, with text before and after it.
TEST(Detector, FindsKnownSecretsAndTokensInEveryEncoding) {
  std::string token = filled("ghp_<alnum 36>", 7);
  for (const auto& [secret, name] : {std::pair(std::string(kKnown), "deploy"), std::pair(token, "github-token")}) {
    std::string text = "the value is " + secret + " and more\n";
    std::map<std::string, std::string> disguises = {
        {"raw", text},
        {"base64", base64(text)},
        {"base64, one byte later", base64("x" + text)},
        {"base64, two bytes later", base64("xy" + text)},
        {"base64url", base64(text, true, false)},
        {"base64 after a path", "/api/v1/" + base64("x" + text)},
        {"base64 in lines", lines(base64(text + text), 76, "\r\n")},
        {"base64 in lines in JSON", "{\"a\":\"" + lines(base64(text + text), 64, "\\n") + "\"}"},
        {"base64 twice", base64(base64(text))},
        {"base32", base32(text)},
        {"hex", each(text, "%02x")},
        {"HEX", each(text, "%02X")},
        {"hex with colons", each(text, "%02x:")},
        {"hex with spaces", each(text, "%02x ")},
        {"hex as in C", each(text, "0x%02x, ")},
        {"hex as in C, tight", each(text, "0x%02x,")},
        {"backslash and x", each(text, "\\x%02x")},
        {"octal", each(text, "\\%03o")},
        {"unicode", each(text, "\\u%04x")},
        {"unicode twice", each(text, "\\\\u%04x")},
        {"unicode with braces", each(text, "\\u{%x}")},
        {"entities", each(text, "&#%d;")},
        {"entities in hex", each(text, "&#x%x;")},
        {"decimal", each(text, "%d, ")},
        {"percent", each(text, "%%%02X")},
        {"percent twice", each(text, "%%25%02x")},
        {"percent four times", each(text, "%%252525%02x")},
        {"utf-16", utf16(text, false)},
        {"utf-16, big", utf16(text, true)},
        {"utf-16 in base64", base64(utf16(text, false))},
        {"gzip", deflated(text, 31)},
        {"zlib", deflated(text, 15)},
        {"gzip in base64", base64(deflated(text, 31))},
        {"zlib in base64", base64(deflated(text, 15))},
        {"deflate in base64", base64(deflated(text, -15))},
        {"gzip in hex", each(deflated(text, 31), "%02x")},
        {"gzip twice", deflated(deflated(text, 31), 31)},
        {"base64 in short lines", lines(base64(text), 8, "\n")},
        {"base64 in short lines in JSON in JSON", lines(base64(text), 12, "\\\\n")},
        {"base64 in groups", lines(base64(text), 4, " ")},
        {"base64 in quoted lines", lines(base64(text), 20, "\n> ")},
        {"base64 in a list", lines(base64(text), 10, "\", \"")},
        {"base32 in groups", lines(base32(text), 8, "-")},
        {"base32 in lines", lines(base32(text), 40, "\n")},
        {"hex in lines", lines(each(text, "%02x"), 32, "\n")},
        {"hex in two lines", lines(each(text, "%02x"), 64, "\n")},
        {"hex in words", lines(each(text, "%02x"), 4, " ")},
        {"hex in quotes", each(text, "%02x\", \"")},
        {"hex in JSON lines in JSON", each(text, "%02x\\\\n")},
        {"binary", each_bit(text)},
        {"ampersands and entities", each(text, "&amp;#%d;")},
        {"xxd", dump(text, "%08zx:", 2, true)},
        {"hexdump -C", dump(text, "%08zx ", 1, true)},
        {"od", dump(text, "%07zo", 1, false)},
        {"dump in JSON", lines_in_json(dump(text, "%08zx:", 2, true))},
        {"zero-width spaces", between(text, "\u200b")},
        {"soft hyphens", between(text, "\u00ad")},
        {"zero-width spaces in JSON", between(text, "\\u200b")},
        {"full-width", full_width(text)},
        {"tags", tagged(text)},
        {"base64 in percent in JSON", "{\"q\":\"" + each(base64(text), "%%%02x") + "\"}"},
    };
    for (const auto& [disguise, hidden] : disguises)
      for (const auto& [before, after] :
           {std::pair("", ""), std::pair("data=", "&x=1"), std::pair("{\"a\": \"", "\"}")})
        EXPECT_NE(found(before + hidden + after).find(name), std::string::npos) << disguise << ": " << hidden;
  }
}

TEST(Detector, FindsZlibInAShortTextOfEscapes) {
  std::string token = filled("ghp_<alnum 36>", 7);
  EXPECT_EQ(found("/v1/" + each(deflated(token, 15), "%%%02X")), "github-token (deflate in percent)");
}

TEST(Detector, FindsKnownSecretsThatWereChanged) {
  std::string secret(kKnown);
  EXPECT_EQ(found("x " + std::string(secret.rbegin(), secret.rend())), "deploy");
  EXPECT_EQ(found("d7Uf82-xYzm0_CjK3eGa5i"), "deploy") << "ROT13";
  EXPECT_EQ(found("Q7HS82-KLMZ0_PWX3RTN5V"), "deploy");
  EXPECT_EQ(found("q7Hs82-kLmz0_PwX3rTn5"), "");
}

TEST(Detector, FindsKnownSecretsBeyondAsciiInOtherCharacterSets) {
  auto catalog = *Catalog::builtin();
  catalog.add_known("pass", "g\xc3\xbcr\xc3\xa4t-pass-w\xc3\xb6rd-77");
  catalog.build();
  const std::string latin = "g\xfcr\xe4t-pass-w\xf6rd-77";
  for (const std::string& text :
       {std::string("b'g\\xc3\\xbcr\\xc3\\xa4t-pass-w\\xc3\\xb6rd-77'"),
        std::string("\"g\\303\\274r\\303\\244t-pass-w\\303\\266rd-77\""), std::string("g%FCr%E4t-pass-w%F6rd-77"),
        latin, base64(latin, false), utf16(latin, false)}) {
    auto findings = Detector(&catalog).scan("the phrase: " + text + " and more").findings;
    ASSERT_EQ(findings.size(), 1u) << text;
    EXPECT_EQ(findings[0].name, "pass");
  }
}

// Only parts of random bytes are text, and the others are not searched for known secrets that are text.
TEST(Detector, FindsKnownSecretsAmongRandomBytes) {
  std::mt19937 random(5);
  std::string around;
  while (around.size() < 4096) around += static_cast<char>(random());
  auto catalog = *Catalog::builtin();
  catalog.add_known("short", "a-secret");
  catalog.build();
  std::string unlike = "\x01\xff\x02\xfe\x03\xfd\x04\xfc\x05\xfb";
  auto with_unlike = *Catalog::builtin();
  with_unlike.add_known("short", "a-secret");
  with_unlike.add_known("unlike", unlike);
  with_unlike.build();
  for (size_t at = 0; at + unlike.size() < around.size(); at += 7) {
    std::string block = around;
    auto names = [&](Catalog& all) {
      std::set<std::string> names;
      for (const auto& each : Detector(&all).scan(block).findings)
        if (!each.rule && each.encoding.empty() && each.begin == at) names.insert(each.name);
      return names;
    };
    block.replace(at, 8, at % 2 ? "A-Secret" : "a-secret");
    ASSERT_EQ(names(catalog), std::set<std::string>{"short"}) << at;
    ASSERT_EQ(names(with_unlike), std::set<std::string>{"short"}) << at;
    block = around;
    block.replace(at, unlike.size(), unlike);
    ASSERT_EQ(names(with_unlike), std::set<std::string>{"unlike"}) << at;
  }
}

TEST(Detector, FindsKnownSecretsThatWereEncodedAndThenChanged) {
  std::string hidden = base64("the value is " + std::string(kKnown) + " and more"),
              turned(hidden.rbegin(), hidden.rend());
  EXPECT_EQ(found(turned), "deploy");
  for (char& c : hidden)
    if (std::isalpha(static_cast<unsigned char>(c)))
      c = static_cast<char>((c & 32) + 'A' + ((c & ~32) - 'A' + 13) % 26);
  EXPECT_EQ(found(hidden), "deploy") << "ROT13 of Base64";
  std::string hex = each(kKnown, "%02X");
  EXPECT_EQ(found("x=" + std::string(hex.rbegin(), hex.rend())), "deploy");
}

TEST(Detector, FindsShortAndForeignKnownSecretsInEveryEncoding) {
  auto own = *Catalog::builtin();
  std::string word = "h7Kq2mZx", foreign = "p\u00e4ssw\u00f6rd-gr\u00f6\u00dfe";
  own.add_known("short", word);
  own.add_known("foreign", foreign);
  own.build();
  auto count = [&](const std::string& text) { return Detector(&own).scan(text).findings.size(); };
  for (const std::string& text :
       {base64(word), base64("x" + word + "y"), base64("xy" + word), base32(word), base32("a" + word),
        each(word, "%02x"), each(word, "%02x "), each(word, "%%%02x"), each(word, "\\u%04x"), each(word, "&#%d;"),
        each(word, "%d,"), utf16(word, false), each(foreign, "%%%02X"), base64(foreign),
        std::string("p\\u00e4ssw\\u00f6rd-gr\\u00F6\\u00dfe"), std::string("p%C3%A4ssw%C3%B6rd-gr%c3%b6%C3%9Fe")})
    EXPECT_GE(count("a=\"" + text + "\""), 1u) << text;
}

// The bytes beyond ASCII make the decoded texts look like other data.
TEST(Detector, FindsAForeignKnownSecretInEveryEncoding) {
  auto own = *Catalog::builtin();
  std::string foreign = "p\u00e4ssw\u00f6rd-gr\u00f6\u00dfe";
  own.add_known("foreign", foreign);
  own.build();
  std::string around(200, '\xfe');
  for (const std::string& text :
       {base64(foreign), base64("x" + foreign), base64(std::string(around).append(foreign).append(around)),
        base32(foreign), base32(around + foreign), each(foreign, "%02x"), each(foreign, "%02x "),
        each(around + foreign, "%02X")})
    EXPECT_GE(Detector(&own).scan("a=\"" + text + "\"").findings.size(), 1u) << text;
}

TEST(Detector, FindsUnusualLettersInAShortTextOfEscapes) {
  std::string token = filled("ghp_<alnum 36>", 7);
  for (const std::string& text : {full_width(token), between(token, "\u200b")})
    EXPECT_EQ(found("s=" + each(text, "%%%02X")), "github-token (letters in percent)");
}

// Encodes words of four bytes with the alphabet, and pads the last one with zeros.
std::string base85(std::string_view bytes, std::string_view alphabet) {
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += 4) {
    uint32_t all = 0;
    for (size_t i = at; i < at + 4; ++i)
      all = all << 8 | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u);
    std::string digits;
    for (int i = 0; i < 5; ++i, all /= 85) digits.insert(digits.begin(), alphabet[all % 85]);
    out += digits;
  }
  return out;
}

std::string uuencoded(std::string_view bytes, char zero) {
  std::string out = "begin 644 file\n";
  for (; !bytes.empty(); bytes.remove_prefix(std::min<size_t>(45, bytes.size()))) {
    std::string_view line = bytes.substr(0, 45);
    out += static_cast<char>(' ' + line.size());
    for (size_t bit = 0; bit < (line.size() + 2) / 3 * 24; bit += 6) {
      unsigned value = 0;
      for (size_t i = bit; i < bit + 6; ++i)
        value = value << 1 | (i / 8 < line.size() ? static_cast<unsigned char>(line[i / 8]) >> (7 - i % 8) & 1u : 0u);
      out += value ? static_cast<char>(value + ' ') : zero;
    }
    out += '\n';
  }
  return out + "end\n";
}

TEST(Detector, FindsKnownSecretsInBase85AndUuencodedText) {
  std::string adobe, python = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
  for (char c = '!'; c <= 'u'; ++c) adobe += c;
  for (size_t before = 0; before < 60; ++before) {
    std::string text = std::string(before, 'x') + std::string(kKnown) + " and more";
    EXPECT_EQ(found("<~" + base85(text, adobe) + "~>"), "deploy") << before;
    EXPECT_EQ(found(nlohmann::json{{"a", base85(text, adobe)}}.dump()), "deploy") << before;
    EXPECT_EQ(found(base85(text, python)), "deploy") << before;
    for (char zero : {' ', '`'}) EXPECT_TRUE(found(uuencoded(text, zero)).starts_with("deploy")) << before;
  }
}

TEST(Detector, FindsTokensWithoutDigitsInGroups) {
  EXPECT_EQ(found("the letters are: g l p a t - q g l N l i L B G o r B e J O t a U z q"), "gitlab-token (groups)");
}

TEST(Detector, FindsDumpsInJsonWithinJson) {
  std::string dump =
      "$ xxd key\n00000000: 7137 4873 3832 2d6b 4c6d 7a30 5f50 7758  q7Hs82-kLmz0_PwX\n"
      "00000010: 3372 546e 3576                           3rTn5v\n";
  for (int depth = 0; depth < 4; ++depth, dump = nlohmann::json{{"a", dump}}.dump())
    EXPECT_EQ(found(dump), "deploy (dump)") << dump;
}

// The secret is in two lines, and in a form, a plus stands for each space.
TEST(Detector, FindsDumpsInForms) {
  std::string padding = "0123456", lines = dump(padding + std::string(kKnown), "%08zx:", 2, true), form;
  for (char c : lines)
    form += c == ' '                                      ? "+"
            : std::isalnum(static_cast<unsigned char>(c)) ? std::string(1, c)
                                                          : each(std::string(1, c), "%%%02X");
  EXPECT_EQ(found("content=" + form), "deploy (dump in percent)") << form;
}

TEST(Detector, FindsDumpsWithoutLineEnds) {
  std::string lines = dump("0123456" + std::string(kKnown) + "0123456", "%07zo", 1, false);
  std::ranges::replace(lines, '\n', ' ');
  EXPECT_EQ(found("the dump is " + lines), "deploy (dump)") << lines;
}

TEST(Detector, FindsSecretsThatAreCutIntoGroups) {
  std::string token = filled("ghp_<alnum 36>", 7);
  for (std::string_view between : {" ", "-", ", ", "', '", "\n> ", "\\n- ", "<br>", "...", "\\u200b"})
    for (size_t size : {1u, 4u, 10u}) {
      EXPECT_NE(found("a list: " + lines(token, size, between)).find("github-token"), std::string::npos)
          << lines(token, size, between);
      if (size < 10)  // groups must be at least three
        EXPECT_NE(found("{\"a\": \"" + lines(kKnown, size, between)).find("deploy"), std::string::npos)
            << lines(kKnown, size, between);
    }
  std::string numbered;
  for (size_t at = 0; at < token.size(); at += 8)
    numbered += "part " + std::to_string(at / 8 + 1) + "/5: " + token.substr(at, 8) + "\n";
  EXPECT_EQ(found(numbered), "github-token (groups)") << numbered;
}

TEST(Detector, FindsSecretsThatAreSplitOverSeveralValues) {
  std::string token = filled("npm_<alnum 30>4567<alnum 2>", 3);
  auto a = token.substr(0, 15), b = token.substr(15, 10), c = token.substr(25);
  EXPECT_EQ(found("/x?v=1&a=" + a + "&b=" + b + "&c=" + c), "npm-token (pieces)");
  EXPECT_EQ(found("{\"a\":\"" + a + "\",\"b\": \"" + b + "\",\n\"c\":\"" + c + "\"}"), "npm-token (pieces)");
  EXPECT_EQ(found("[\"" + a + "\", \"" + b + "\", \"" + c + "\"]"), "npm-token (pieces)");
  EXPECT_EQ(found("a=q7Hs82-kL&b=mz0_PwX3r&c=Tn5v"), "deploy (pieces)");
  // A credential within one piece is judged together with the text beside it.
  EXPECT_EQ(
      found("{\"license\": \"MIT\",\"integrity\": \"sha512-Rq3a5c/B8u3vf7ciorQv0p4CSbhK2eNSqdT0udnI6wmpHXDRJNqw2F7ooh"
            "NWSx1ajmBncfhuZR4YGc2p8w17jQ==\"}"),
      "");
  // A piece that looks random only warns when it is alone.
  EXPECT_EQ(found("p0=xoxb-16886176315&p1=9-9000405696187-FZZvcDkeob0kbwbEyhyN2h2o"), "slack-token (pieces)");
}

// A token that must stand alone consists of whole values. One that begins or ends within a word is there by chance.
TEST(Detector, IgnoresTokensThatEndWithinAValue) {
  std::string token = filled("fw_<alnum 22>", 1), nuget = filled("oy2<base36 43>", 1);
  auto values = [](std::string_view a, std::string_view b) {
    return "[\"" + std::string(a) + "\", \"" + std::string(b) + "\", \"no\"]";
  };
  EXPECT_EQ(found(values(token.substr(0, 12), token.substr(12))), "fireworks-key (pieces)");
  EXPECT_EQ(found(values("x " + token.substr(0, 12), token.substr(12) + " and more")), "fireworks-key (pieces)");
  EXPECT_EQ(found(values(token.substr(0, 12), token.substr(12) + "b7")), "");
  EXPECT_EQ(found(values(nuget.substr(0, 2), nuget.substr(2))), "nuget-key (pieces)");
  EXPECT_EQ(found(values("m8w" + nuget.substr(0, 2), nuget.substr(2))), "");
  std::string crates = filled("cio<alnum 31>7", 2);
  EXPECT_EQ(found("a list: " + lines(crates, 4, ",")), "crates-token (groups)");
  EXPECT_EQ(found("a list: uw" + lines(crates, 4, ",")), "") << "the first group is the end of a word";
  EXPECT_EQ(found("a list: " + lines(crates + "x", 4, ",")), "") << "the last group is longer than the token";
}

// In JSON, the letter of an escape such as "\\n" is not part of a word, nor is a letter that each group repeats.
TEST(Detector, FindsTokensInGroupsBesideLettersThatBelongToNoWord) {
  std::string aws = filled("AKIA<BASE32 16>", 4), github = filled("ghp_<alnum 36>", 7);
  for (const auto& [token, name] : {std::pair(aws, "aws-access-key"), std::pair(github, "github-token")}) {
    for (std::string_view before : {"\\n", "\\t", "\\r", "\\\\\\n", "\n", "\\n\\n"})
      EXPECT_EQ(found("{\"a\": \"it is here:" + std::string(before) + lines(token, 4, " ") + "\"}"),
                std::string(name) + " (groups)")
          << before << token;
    for (const std::string& list : {lines(token, 4, "x-"), "-x" + lines(token, 4, "-x"), "x" + lines(token, 4, "-x"),
                                    "x" + lines("abcd" + token, 4, "-x"), lines(token, 4, "x, ") + "and more"})
      EXPECT_EQ(found("a list: " + list), std::string(name) + " (groups)") << list;
  }
  EXPECT_EQ(found("{\"a\": \"the path is C:\\\\n" + lines(aws, 4, " ") + "\"}"), "") << "a backslash and a word";
  for (std::string_view between : {",", "-"}) {
    EXPECT_EQ(found("a list: uw" + lines(aws, 4, between)), "") << between;
    EXPECT_EQ(found("a list: " + lines(aws.substr(0, 16), 4, between) + aws.substr(16) + "XY"), "") << between;
  }
  EXPECT_EQ(found("a list: uw" + lines(github, 4, ",")), "github-token (groups)") << "it need not begin a word";
}

TEST(Detector, ReportsThePositionInTheBlock) {
  std::string pieces = "/x?a=q7Hs82-kL&b=mz0_PwX3r&c=Tn5v HTTP/1.1";
  auto joined = Detector(&catalog()).scan(pieces).findings;
  ASSERT_EQ(joined.size(), 1u);
  EXPECT_EQ(pieces.substr(joined[0].begin, joined[0].end - joined[0].begin), "q7Hs82-kL&b=mz0_PwX3r&c=Tn5v");
  std::string text = "key: " + std::string(kKnown) + "!";
  auto result = Detector(&catalog()).scan(text);
  ASSERT_EQ(result.findings.size(), 1u);
  EXPECT_EQ(text.substr(result.findings[0].begin, result.findings[0].end - result.findings[0].begin), kKnown);
  std::string hidden =
      base64("a long text before, then " + std::string(kKnown) + ", then a long text after it, and on");
  text = "{\"a\": \"" + hidden + "\"}";
  result = Detector(&catalog()).scan(text);
  ASSERT_EQ(result.findings.size(), 1u);
  const Finding& finding = result.findings[0];
  // The range must cover all characters of the secret and few others.
  size_t begin = 7 + 25 * 4 / 3, end = 7 + (25 + kKnown.size()) * 4 / 3 + 1;
  EXPECT_LE(finding.begin, begin);
  EXPECT_GE(finding.end, end);
  EXPECT_LE(finding.end - finding.begin, end - begin + 140);
  EXPECT_GE(finding.begin, 7u);
  EXPECT_LE(finding.end, 7 + hidden.size());
}

// Returns the text of the only finding, or the number of findings.
std::string value_in(std::string_view text) {
  auto result = Detector(&catalog()).scan(text);
  if (result.findings.size() != 1) return std::to_string(result.findings.size());
  return std::string(text.substr(result.findings[0].begin, result.findings[0].end - result.findings[0].begin));
}

TEST(Detector, TakesTheWholeValueOfAnAssignment) {
  std::string_view value = "rT5vQx2mKwL8pZ4wR8nB";
  for (const auto& [before, after] :
       std::initializer_list<std::pair<std::string, std::string>>{{"DB_PASSWORD=\"", "\"\n"},
                                                                  {R"({"c": "{\"db_password\": \")", R"(\"}"})"},
                                                                  {"client_secret: |\n  ", "\nnext: 1\n"},
                                                                  {"client_secret:\\n    ", "\\nnext: 1"},
                                                                  {"client_secret: &one ", "\n"},
                                                                  {"client_secret = \"\"\"\n", "\"\"\""},
                                                                  {"{\"name\":\"DB_PASSWORD\",\n \"value\":\"", "\"}"},
                                                                  {"val apiKey: String = \"", "\""},
                                                                  {"<clientSecret>", "</clientSecret>"}})
    EXPECT_EQ(value_in(before + std::string(value) + after), value) << before;
  EXPECT_EQ(value_in(R"(DB_PASSWORD="k9\"rT5vQx2mKwL8pZ4w\\"; x)"), R"(k9\"rT5vQx2mKwL8pZ4w\\)");
  EXPECT_EQ(value_in(R"({"db_password":"k9\"rT5vQx2mKwL8pZ4w"})"), R"(k9\"rT5vQx2mKwL8pZ4w)");
  EXPECT_EQ(value_in(R"({"c":"{\"db_password\":\"k9\\\"rT5vQx2mKwL8pZ4w\"}"})"), R"(k9\\\"rT5vQx2mKwL8pZ4w)");
  EXPECT_EQ(value_in(R"(DB_PASSWORD='k9'\''rT5vQx2mKwL8pZ4w' x)"), R"(k9'\''rT5vQx2mKwL8pZ4w)");
}

TEST(Detector, TakesAllLinesOfAKey) {
  std::string first = filled("<base64 64>", 1), second = filled("<base64 64>", 2), last = filled("<base64 40>", 3);
  for (std::string between :
       {"\n", "\\n", "\\\\n", "\r\n", " ", "\n    ", "\n+", "\n> ", "\", \"", "\\n\" +\n  \"", "\n  12\t"}) {
    std::string key = "-----BEGIN RSA PRIVATE KEY-----" + between + first + between + second + between + last;
    EXPECT_EQ(value_in("key: " + key + between + "-----END RSA PRIVATE KEY-----").find(key), 0u) << between;
  }
}

TEST(Detector, AFingerprintIsAnException) {
  auto own = *Catalog::builtin();
  own.build();
  std::string token = filled("glpat-<alnum 20>", 1);
  auto result = Detector(&own).scan(token);
  ASSERT_EQ(result.findings.size(), 1u);
  own.allow(result.findings[0].fingerprint);
  EXPECT_TRUE(Detector(&own).scan(token).findings.empty());
  EXPECT_TRUE(Detector(&own).scan(base64(token + " in Base64")).findings.empty());
}

// A guard lets its own secrets and placeholders pass, and most matches have other sizes.
TEST(Detector, ComparesOnlyMatchesWithTheSizeOfAnAllowedValue) {
  auto own = *Catalog::builtin();
  std::string token = filled("glpat-<alnum 20>", 1), card = "4012888888881881";
  own.allow_value(token);
  own.allow_value(card);
  own.build();
  auto scan = [&](const std::string& text) { return Detector(&own).scan(text); };
  auto same_size = scan(token + " " + filled("glpat-<alnum 20>", 2));
  EXPECT_EQ(same_size.findings.size(), 1u);
  EXPECT_EQ(same_size.hashed, 2u);
  auto key = scan("-----BEGIN RSA PRIVATE KEY-----\n" + filled("<base64 64>", 1) + "\n");
  ASSERT_EQ(key.findings.size(), 1u);
  EXPECT_EQ(key.hashed, 0u);
  EXPECT_EQ(key.findings[0].fingerprint.size(), 12u);
  EXPECT_TRUE(scan("card 4012 8888 8888 1881").findings.empty()) << "grouped in another way";
}

TEST(Detector, LeavesHarmlessTextAlone) {
  for (std::string_view text :
       {R"({"name":"left-pad","version":"1.3.0","integrity":")"
        R"(sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA=="})",
        R"({"id":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","sha":"da39a3ee5e6b4b0d3255bfef95601890afd80709"})",
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nAWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
        "Put the password into DB_PASSWORD, for example DB_PASSWORD=changeme, and never commit it.",
        "curl -H 'Authorization: Bearer $TOKEN' https://user:$PASSWORD@example.org/",
        "card 4242 4242 4242 4242 or 4111111111111111, IBAN DE89 3704 0044 0532 0130 00",
        "password:\n  user_name: a1b2c3d4e5\n", "{\"tokens\": {\"access_token_lifetime_2\": 3600}}",
        "otpauth://totp/a@example.org?secret=JBSWY3DPEHPK3PXP", "Use --token-file /run/secrets/token1 and --password -",
        "const apiKey = process.env.API_KEY;", "token = getTokenFromCache(session_key_2024)", "x = 4111111111111111.25",
        "-----BEGIN PRIVATE KEY-----\n(your key)\n-----END PRIVATE KEY-----"})
    EXPECT_EQ(found(text), "") << text;
}

// A row of one letter decodes to nothing, but what follows it may.
TEST(Detector, FindsEncodedTextAfterALongRowOfOneLetter) {
  std::string token = filled("ghp_<alnum 36>", 7);
  for (size_t letters : {100u, 256u, 400u, 4000u})
    EXPECT_EQ(found(std::string(letters, 'A') + base64("the value is " + token)), "github-token (base64)") << letters;
}

TEST(Detector, ReadsANameInCapitals) { EXPECT_EQ(found("curl -u VALUE:k3Rz9WqLx7TpVbN2hJcY"), "assignment"); }

TEST(Detector, FindsNumbersAmongOtherBytes) {
  std::string around;
  for (uint32_t i = 1, x = 7; i < 4096; ++i) around += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  std::string token = filled("ghp_<alnum 36>", 7);
  EXPECT_EQ(found(around + each(token, "%02x\x80\1") + around), "github-token (hex)");
}

// JSON writes a character above U+FFFF as a pair of surrogates.
TEST(Detector, FindsAKnownSecretWithCharactersOfEveryLengthInEscapes) {
  auto own = *Catalog::builtin();
  const std::string smile = "Kennwort-\xf0\x9f\x98\x80-geheim", mixed = "\xc3\xbc\xe2\x82\xac\xf4\x8f\xbf\xbf Geheim";
  own.add_known("smile", smile);
  own.add_known("mixed", mixed);
  own.add_known("quoted", "say \"\xf0\x9f\x98\x80\" now");
  own.build();
  for (const std::string& text :
       {smile, mixed, std::string(R"({"a": "Kennwort-\ud83d\ude00-geheim"})"),
        std::string(R"("Kennwort-\uD83D\uDE00-geheim")"),
        std::string(R"("{\"a\": \"Kennwort-\\ud83d\\ude00-geheim\"}")"),
        std::string(R"("\u00fc\u20ac\udbff\udfff Geheim")"), std::string(R"("\u00FC\u20AC\uDBFF\uDFFF Geheim")"),
        std::string("Kennwort-%F0%9F%98%80-geheim"), std::string("Kennwort-%f0%9f%98%80-geheim"),
        std::string("Kennwort-&#128512;-geheim"), std::string("Kennwort-&#x1f600;-geheim"),
        std::string(R"(Kennwort-\U0001f600-geheim)"), std::string(R"(Kennwort-\u{1F600}-geheim)"),
        std::string(R"(Kennwort-\xf0\x9f\x98\x80-geheim)"), base64(smile),
        std::string(R"({"a": "say \"\ud83d\ude00\" now"})"), base64(R"({"a": "Kennwort-\ud83d\ude00-geheim"})"),
        each(smile, "%02x")})
    EXPECT_FALSE(Detector(&own).scan("x " + text + " y").findings.empty()) << text;
}

// What is among escapes is looked for only in the text that they decode to.
TEST(Detector, FindsWhatIsAmongEscapesOnce) {
  std::string token = filled("ghp_<alnum 36>", 7), form, json;
  for (int i = 0; i < 40; ++i) form += "%22a%22%3A+", json += "\\u0022\\u0061 ";
  for (const std::string& around : {form, json}) {
    EXPECT_EQ(found(around + " " + base64("the value is " + token) + " " + around), "github-token (base64)");
    EXPECT_EQ(found(around + " " + each(token, "%d", ", ") + " " + around), "github-token (decimal)");
    EXPECT_EQ(found(around + " " + each(token, "%02x", " ") + " " + around), "github-token (hex)");
    EXPECT_EQ(found(around + " " + token + " " + around), "github-token");
  }
  auto findings = Detector(&catalog()).scan(form + " " + base64("the value is " + token) + " " + form).findings;
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_TRUE(findings[0].is_base64) << "so that a marker is written in Base64";
  // The hashes of a form cost little more than those of a text.
  constexpr size_t kSize = 32 * 1024;
  std::string hashes;
  for (uint32_t seed = 0; hashes.size() < kSize; ++seed)
    hashes += filled("++++--hash%3Dsha256%3A<hex 64>+%5C%0A", seed);
  EXPECT_LE(Detector(&catalog()).scan(hashes).work, 25 * kSize);
}

}  // namespace
}  // namespace bottle::scan
