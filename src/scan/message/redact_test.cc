// Checks that a stream that redacts sends JSON on as JSON, without the secret, and always in the same way.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "base/ids.h"
#include "base/text/json.h"
#include "scan/content/compress_test.h"
#include "scan/disguise_test.h"
#include "scan/message/stream.h"
#include "scan/rule_examples.h"

namespace bottle::scan {
namespace {

using nlohmann::json;

// Returns the stream of a request to the model.
Stream redacting_all_but_random() {
  auto judge = [](const Finding& finding) {
    return finding.name == "random-value" ? OnFinding::report : OnFinding::redact;
  };
  return {&catalog(), OnFinding::report, {}, judge, MarkerStyle::json};
}

// Returns what a stream makes of the text, in pieces of at most `most` bytes. `pauses` is whether some of them are
// followed by a pause.
std::string streamed(std::string_view text, size_t most, bool pauses, uint32_t seed) {
  std::mt19937 random(seed);
  Stream stream = redacting_all_but_random();
  std::string out;
  while (!text.empty()) {
    size_t size = std::min<size_t>(text.size(), most <= 1 ? most : most / 2 + random() % (most / 2));
    EXPECT_TRUE(stream.feed(text.substr(0, size), out));
    text.remove_prefix(size);
    if (pauses && random() % 3 == 0) EXPECT_TRUE(stream.release(out));
  }
  EXPECT_TRUE(stream.end(out));
  return out;
}

// Returns the text with letters of another block of Unicode for those of ASCII: full-width, or mathematical ones beyond
// the first plane.
std::string disguised(std::string_view text, bool mathematical) {
  std::u32string out;
  for (unsigned char c : text) {
    bool capital = c >= 'A' && c <= 'Z', small = c >= 'a' && c <= 'z';
    char32_t other = capital ? 0x1d400 + (c - 'A') : 0x1d41a + (c - 'a');
    out += mathematical ? (capital || small ? other : c) : c > ' ' && c < 0x7f ? c + 0xfee0 : c;
  }
  std::string bytes;
  for (char32_t c : out) {
    if (c < 0x80) bytes += static_cast<char>(c);
    else if (c < 0x10000) bytes += {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63))};
    else
      bytes += {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
                static_cast<char>(0x80 | (c >> 6 & 63))};
    if (c >= 0x80) bytes += static_cast<char>(0x80 | (c & 63));
  }
  return bytes;
}

std::string random_prose(std::mt19937& random, size_t size) {
  static constexpr std::array<const char*, 13> kWords = {
      "the",   "agent",    "reads \"a\"", "file\n",  "caf\xc3\xa9", "x = 5;",          "\\d+",
      "\ttab", "/usr/lib", "{\"k\": 1}",  "100% of", "&amp;",       "\xf0\x9f\x98\x80"};
  std::string out;
  while (out.size() < size) out.append(kWords[random() % kWords.size()]) += ' ';
  return out;
}

json said(const std::string& text) {
  return {{"messages", {{{"role", "user"}, {"content", text}}, {{"role", "assistant"}, {"content", "ok"}}}},
          {"n", -1.5e3}};
}

// Returns requests that contain the secret in every form in which JSON can have it.
std::vector<std::string> requests(std::string_view secret, const std::string& before, const std::string& after) {
  std::string text = before + std::string(secret) + after, quoted = json(before).dump();
  auto list = [&](const std::string& items) { return "{\"a\":" + quoted + ",\"l\":[" + items + "],\"n\":-12.5e3}"; };
  auto around = [&](const std::string& form) { return said(before + " " + form + " " + after); };
  return {
      said(text).dump(),
      said(text).dump(-1, ' ', true),
      said("\xf0\x9f\x98\x80" + std::string(secret) + "\xf0\x9f\x98\x80").dump(-1, ' ', true),
      said("\xc3\xa9" + std::string(secret) + "\xc3\xa9").dump(2),
      said(said(text).dump()).dump(),
      said(said(said(text).dump()).dump(-1, ' ', true)).dump(),
      json{{std::string(secret), before}}.dump(),
      "{\"a\":" + quoted + ",\"b\":\"" + each(secret, "\\u%04x") + "\"}",
      "{\"a\":\"" + each(secret, "\\u%04x") + quoted.substr(1) + "}",
      around(base64(text)).dump(),
      around(lines(base64(text), 76, "\n")).dump(),
      around(base64(base64(text))).dump(),
      around(base64(gzipped(before.substr(0, 2000) + std::string(secret)))).dump(),
      around(each(secret, "%02x")).dump(),
      around(each(secret, "%%%02X")).dump(),
      around(disguised(secret, false)).dump(),
      around(disguised(secret, true)).dump(-1, ' ', true),
      list(each(secret, "%d", ",")),
      list(each(secret, "\"%02x\"", ",")),
  };
}

// Returns whether the text has half of a pair of surrogates, which services refuse.
bool has_lone_surrogate(const std::string& text) {
  for (size_t at = text.find('\\'); at != text.npos; at = text.find('\\', at)) {
    auto code = [&](size_t i) {
      return text.substr(i, 2) == "\\u" ? std::strtoul(text.substr(i + 2, 4).c_str(), nullptr, 16) >> 10 : 0;
    };
    constexpr unsigned long kFirst = 0x36, kSecond = 0x37;
    if (code(at) == kSecond || (code(at) == kFirst && code(at + 6) != kSecond)) return true;
    at += code(at) == kFirst ? 12 : 2;
  }
  return false;
}

void check(const std::string& request, const std::string& out) {
  std::string shown = request.substr(0, 600) + "\n→ " + out.substr(0, 600);
  EXPECT_EQ(out.size(), request.size()) << shown;
  json parsed = json::parse(out, nullptr, false);  // also checks UTF-8
  ASSERT_FALSE(parsed.is_discarded()) << shown;
  EXPECT_FALSE(has_lone_surrogate(out)) << shown;
}

class Redaction : public testing::Test {
 protected:
  std::mt19937 random_{4};
  std::string key_ =
      "-----BEGIN PRIVATE KEY-----\n" + lines(filled("<base64 640>", 4), 64, "\n") + "-----END PRIVATE KEY-----\n";
  std::vector<std::string> secrets_{filled("ghp_<alnum 36>", 4), std::string(kKnown), key_,
                                    "aws_secret_access_key=" + filled("<base64 40>", 4)};
};

TEST_F(Redaction, IsTheSameHoweverTheRequestIsCut) {
  auto same = [&](const std::string& request, std::initializer_list<size_t> cuts) {
    std::string whole = streamed(request, SIZE_MAX, false, 1);
    check(request, whole);
    auto last = std::string_view(whole).substr(whole.size() - std::min<size_t>(whole.size(), 30'000));
    for (const Finding& finding : Detector(&catalog()).scan(last).findings)
      EXPECT_TRUE(finding.warns()) << finding.name << " " << finding.encoding << request.substr(0, 300);
    for (size_t most : cuts)
      EXPECT_TRUE(streamed(request, most, false, 2) == whole) << most << " " << request.substr(0, 300);
  };
  for (const std::string& secret : secrets_)
    for (const std::string& request : requests(secret, random_prose(random_, 400), random_prose(random_, 700)))
      same(request, {300});
  for (const std::string& request : requests(secrets_[0], random_prose(random_, 33'000), random_prose(random_, 700)))
    same(request, {20'000});
}

TEST_F(Redaction, LeavesJsonWithPausesAnywhere) {
  for (const std::string& secret : secrets_)
    for (const std::string& request : requests(secret, random_prose(random_, 100), random_prose(random_, 30)))
      for (size_t most : {300u, 41u}) check(request, streamed(request, most, true, static_cast<uint32_t>(most)));
}

TEST_F(Redaction, LeavesBase64ThatDecodesToTheMarker) {
  for (const std::string& before :
       {std::string("a"), std::string("ab"), std::string("abc"), random_prose(random_, 34'000)}) {
    std::string text = before + " TOKEN=" + secrets_[0] + " and more of the file", code = base64(text);
    std::string out = streamed(json{{"data", code}}.dump(), 5000, false, 1);
    text.replace(text.find(secrets_[0]), secrets_[0].size(), redaction("github-token", secrets_[0].size()));
    EXPECT_TRUE(out == json({{"data", base64(text)}}).dump()) << out.substr(0, 200);
  }
}

TEST_F(Redaction, LeavesNumbersOfJson) {
  std::string card = filled("4<card 15>", 3);
  for (const std::string& request :
       {R"({"card": )" + card + R"(, "n": 1})", R"({"cards":[)" + card + "]}", "[1.5," + card + "]",
        std::string(R"({"n":[-12,1.5e10,0.25],"list":["q7Hs82-kLm",-12.5e-3,true,"z0_PwX3rTn5v"]})")}) {
    std::string out = streamed(request, SIZE_MAX, false, 1);
    check(request, out);
    EXPECT_NE(out, request);
  }
  std::string out = streamed(json{{"a", "my card: " + card + "!"}}.dump(), SIZE_MAX, false, 1);
  EXPECT_EQ(out, json({{"a", "my card: ****************!"}}).dump());
}

TEST_F(Redaction, WritesAnyNameIntoJson) {
  std::string marker = redaction("prod.json:a\"b\\c\n\xc3\xa9", 60);
  EXPECT_TRUE(marker.starts_with("[redacted: prod.json:a_b_c___]*")) << marker;
}

TEST_F(Redaction, RedactsAKnownSecretWithQuotes) {
  auto own = *Catalog::builtin();
  std::string value = "pa\"ss\\wo\"rd-0815";
  own.add_known("phrase", value);
  own.build();
  std::string request = json{{"a", "b " + value + " c"}}.dump();
  for (int depth = 0; depth < 3; ++depth, request = json{{"a", request}}.dump()) {
    Stream stream(&own, OnFinding::report, {}, [](const Finding&) { return OnFinding::redact; }, MarkerStyle::json);
    std::string out;
    EXPECT_TRUE(stream.feed(request, out) && stream.end(out));
    check(request, out);
    EXPECT_NE(out.find("b [redacted: phrase]"), out.npos) << out;
    EXPECT_EQ(out.find("rd-0815"), out.npos) << out;
  }
}

TEST_F(Redaction, BlocksASecretThatPausesWithinAnEscape) {
  for (size_t left : {1u, 3u, 5u}) {
    std::string begun = json{{"a", disguised(kKnown, true)}}.dump(-1, ' ', true);
    begun.resize(begun.size() - 2 - left);
    Stream stream(&catalog(), OnFinding::block);
    std::string out;
    EXPECT_TRUE(stream.feed(begun, out));
    EXPECT_FALSE(stream.release(out)) << "all but the last character would leave";
    EXPECT_EQ(out, "");
  }
}

TEST(Redact, NumbersInAnUploadedFileOfJsonStayNumbers) {
  std::string card = filled("<card 15>", 1);
  std::string line = "{\"id\":4" + card + ",\"list\":[4" + card + "]}\n";
  std::string body = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n" + line + line + "\r\n--b--\r\n";
  Stream stream{&catalog(), OnFinding::report, {}, [](const Finding&) { return OnFinding::redact; }, MarkerStyle::text};
  std::string out;
  ASSERT_TRUE(stream.feed(body, out) && stream.end(out));
  EXPECT_EQ(out.find(card), out.npos);
  std::string sent = out.substr(body.find(line), line.size());
  EXPECT_FALSE(json::parse(sent, nullptr, false).is_discarded()) << sent;
}

}  // namespace
}  // namespace bottle::scan
