// Checks that a message is scanned as it streams by, however it is cut.
#include <gtest/gtest.h>

#include "base/ids.h"
#include "base/text/json.h"
#include "scan/content/compress_test.h"
#include "scan/disguise_test.h"
#include "scan/join.h"
#include "scan/message/session.h"
#include "scan/message/stream.h"
#include "scan/message/stream_test.h"
#include "scan/rule_examples.h"

namespace bottle::scan {
namespace {

using nlohmann::json;

TEST(Stream, NoByteOfASecretLeaves) {
  std::string token = filled("ghp_<alnum 36>", 2);
  for (const std::string& secret : {std::string(kKnown), token})
    for (size_t place : {0u, 500u, 1023u, 1024u, 5000u})
      for (size_t piece : {7u, 64u, 1000u, 100000u}) {
        std::string before = prose(place), text = before + " " + secret + " " + prose(3000);
        Stream stream(&catalog(), OnFinding::block);
        auto [out, whole] = streamed(stream, text, piece);
        EXPECT_FALSE(whole);
        EXPECT_TRUE((before + " ").starts_with(out)) << piece << " " << place;
        ASSERT_EQ(stream.findings().size(), 1u);
      }
}

TEST(Stream, HarmlessTextPassesUnchanged) {
  std::string text = prose(100000);
  for (size_t piece : {13u, 4096u, 200000u}) {
    Stream stream(&catalog(), OnFinding::block);
    EXPECT_EQ(streamed(stream, text, piece), std::pair(text, true));
    EXPECT_TRUE(stream.findings().empty());
    EXPECT_LE(stream.memory(), 128u * 1024);
  }
}

TEST(Stream, RedactsWithoutBreakingJson) {
  std::string token = filled("ghp_<alnum 36>", 2);
  nlohmann::json message = {{"role", "user"},
                            {"content", prose(2000) + "\"TOKEN\"=\"" + token + "\"\nand " + std::string(kKnown) + "\n"},
                            {"more", {token, prose(100)}}};
  std::string text = message.dump();
  for (size_t piece : {5u, 333u, 100000u}) {
    Stream stream(&catalog(), OnFinding::redact);
    auto [out, whole] = streamed(stream, text, piece);
    EXPECT_TRUE(whole);
    EXPECT_EQ(out.size(), text.size());
    EXPECT_EQ(out.find(token), out.npos);
    EXPECT_EQ(out.find(kKnown), out.npos);
    auto read = parse_json(out);
    ASSERT_TRUE(read) << out;
    EXPECT_EQ(read->at("more")[0], "[redacted: github-token]****************") << piece;
    EXPECT_EQ(stream.findings().size(), 3u) << piece;
  }
}

TEST(Stream, RedactsMoreThanOneScanFinds) {
  std::string text;
  for (uint32_t seed = 0; seed < 1300; ++seed) text += filled("glpat-<alnum 20>\n", seed);
  Stream stream(&catalog(), OnFinding::redact);
  auto [out, whole] = streamed(stream, text, 100000);
  EXPECT_TRUE(whole);
  EXPECT_EQ(out.size(), text.size());
  EXPECT_EQ(out.find("glpat-"), out.npos) << out.substr(out.find("glpat-"));
  EXPECT_EQ(stream.unscanned(), "");
}

// Text whose scan takes more work than is allowed could hide a secret.
TEST(Stream, AMessageThatTakesTooMuchWorkIsRefusedOrRecorded) {
  std::string text;
  for (uint32_t seed = 0; text.size() < 2 * Stream::kPiece; ++seed)
    text += filled("checksum = \"<hex 64>\"KEY<base64 20>%3D<alnum 9>\\u0041abC<base64url 12><alnum 9>\\u0041", seed);
  ASSERT_TRUE(Detector(&catalog()).scan(text).findings.empty());
  Stream blocking(&catalog(), OnFinding::block);
  auto [sent, passes] = streamed(blocking, text, text.size());
  EXPECT_FALSE(passes);
  EXPECT_EQ(sent, "");
  EXPECT_NE(blocking.problem().find("takes the guard too long"), std::string::npos) << blocking.problem();
  for (OnFinding what : {OnFinding::report, OnFinding::redact}) {
    Stream stream(&catalog(), what);
    EXPECT_EQ(streamed(stream, text, text.size()), std::pair(text, true));
    EXPECT_NE(stream.unscanned(), "");
  }
}

TEST(Stream, ReportsOnceAndPassesTheText) {
  std::string text = prose(3000) + std::string(kKnown) + prose(3000);
  Stream stream(&catalog(), OnFinding::report);
  EXPECT_EQ(streamed(stream, text, 100), std::pair(text, true));
  ASSERT_EQ(stream.findings().size(), 1u);
  EXPECT_EQ(stream.findings()[0].begin, text.find(kKnown));
}

TEST(Stream, APauseReleasesEverything) {
  Stream stream(&catalog(), OnFinding::block);
  std::string out, all;
  for (std::string_view text :
       {"{\"delta\": \"hello\"}\n", "a row of AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOp", "and ghp_Ab3",
        " and q7Hs82-kL"}) {
    EXPECT_TRUE(stream.feed(text, out));
    EXPECT_EQ(out, all);
    EXPECT_TRUE(stream.release(out));
    EXPECT_EQ(out, all += text);
    EXPECT_FALSE(stream.holds());
  }
  EXPECT_FALSE(stream.feed("mz0_PwX3rTn5v", out)) << "what has left is remembered";
  EXPECT_EQ(out, all);
}

TEST(Stream, APauseInTheMiddleOfASecretIsAFinding) {
  std::string token = filled("ghp_<alnum 36>", 2), secret(kKnown), wide = filled("sk-ant-api03-<base64url 93>AA", 3);
  for (const std::string& begun :
       {secret.substr(0, 17), token.substr(0, 30), wide.substr(0, 50), to_hex(secret).substr(0, 40),
        std::string("Zm9vIHE3SHM4Mi1rTG16MF9Qd1gz"), std::string(secret.rbegin(), secret.rbegin() + 17)}) {
    Stream stream(&catalog(), OnFinding::block);
    std::string out;
    EXPECT_TRUE(stream.feed("and " + begun, out));
    EXPECT_FALSE(stream.release(out)) << begun;
    EXPECT_EQ(out, "") << begun;
    EXPECT_EQ(stream.findings().size(), 1u) << begun;
  }
  for (std::string_view harmless :
       {"ghp_xxxxxxxxxxxxxxxxxxxxxxxxxx", "sha512-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "https://www.example.org/a/long/path/to/some/thing", "4f5e6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c1d2e3f"}) {
    Stream stream(&catalog(), OnFinding::block);
    std::string out;
    EXPECT_TRUE(stream.feed(harmless, out));
    EXPECT_TRUE(stream.release(out)) << harmless;
    EXPECT_EQ(out, harmless);
  }
}

TEST(Stream, APauseInTheMiddleOfAKnownSecretOfAnyCharacters) {
  auto own = *Catalog::builtin();
  own.add_known("phrase", "correct horse battery staple");
  own.add_known("password", "w!Nt3r&0tt3r#8$9kQ");
  own.build();
  for (std::string_view begun : {"correct horse bat", "w!Nt3r&0tt3r#"}) {
    Stream stream(&own, OnFinding::block);
    std::string out;
    EXPECT_TRUE(stream.feed("and ", out) && stream.feed(begun, out));
    EXPECT_FALSE(stream.release(out)) << begun;
    EXPECT_EQ(out, "") << begun;
  }
  Stream stream(&own, OnFinding::block);
  std::string out;
  EXPECT_TRUE(stream.feed("and correct horse", out) && stream.release(out)) << "up to half may leave";
}

TEST(Stream, LargeCompressedFilesPass) {
  // A window of the file decompresses to more than the scan allows, and has bytes that look like zlib by chance.
  std::string image;
  for (uint32_t i = 1, state = 1; i < 20'000; ++i) {
    state = state * 1664525 + 1013904223;
    image += i % 1000 == 0 ? "\x78\x9c" : std::string(1, static_cast<char>(state >> 24));
  }
  std::string packed = gzipped(std::string(3'000'000, ' ') + image);
  ASSERT_LT(packed.size(), Stream::kPiece);
  Stream stream(&catalog(), OnFinding::block);
  EXPECT_TRUE(streamed(stream, packed, packed.size()).second) << stream.problem();
  Stream two(&catalog(), OnFinding::block);
  EXPECT_FALSE(streamed(two, packed + gzipped(prose(300)), 100'000).second) << "a second file is not scanned";
}

TEST(Stream, BlocksWhatFindingsThatMayLeaveHideInBytesThatADecoderSkips) {
  std::string tokens;
  for (uint32_t seed = 0; seed < 256; ++seed) tokens += filled("glpat-<alnum 20> ", seed);
  for (const std::string& secret : {std::string(), filled("ghp_<alnum 36>", 7)}) {
    Stream stream(&catalog(), OnFinding::block, "gzip", [](const Finding& finding) {
      return finding.name == "gitlab-token" ? OnFinding::report : OnFinding::block;
    });
    auto [out, whole] = streamed(stream, gzipped(prose(3000), tokens + secret), 100'000);
    EXPECT_EQ(whole, secret.empty()) << stream.problem();
  }
}

TEST(Stream, ReportsAFindingAfterManyWarnings) {
  std::string text;
  for (uint32_t seed = 0; seed < 200; ++seed) text += filled("session_word = \"<alnum 60>\"\n", seed) + prose(1000);
  Stream stream(&catalog(), OnFinding::report);
  EXPECT_TRUE(streamed(stream, text + filled("ghp_<alnum 36>", 2), 100'000).second);
  EXPECT_GT(stream.findings().size(), 20u);
  EXPECT_FALSE(stream.findings().back().warns());
}

TEST(Stream, DecodesHoweverTheInputIsCut) {
  std::string harmless = prose(3000), known(kKnown);
  std::string comment(300'000, 'x');  // longer than what is decoded of the outer coding at once
  for (const auto& [codings, packed, bad] :
       {std::tuple("deflate", deflated(harmless, 15), deflated(known, 15)),
        std::tuple("deflate", deflated(harmless, -15), deflated(known, -15)),
        std::tuple("gzip, zstd", zstd(gzipped(harmless, comment)), zstd(gzipped(known, comment)))})
    for (size_t size : {1u, 2u, 100'000u}) {
      Stream stream(&catalog(), OnFinding::block, codings), other(&catalog(), OnFinding::block, codings);
      EXPECT_EQ(streamed(stream, packed, size), std::pair(packed, true)) << codings << size << stream.problem();
      EXPECT_FALSE(streamed(other, bad, size).second) << codings << size;
      EXPECT_EQ(other.findings().size(), 1u) << codings << size;
    }
}

TEST(Join, NamesItsValues) {
  auto values = [](std::string_view text) {
    std::string out;
    bool any = each_value(text, [&](std::string_view name, std::string_view value) {
      out.append(out.empty() ? "" : " ").append(name).append("=").append(value);
    });
    return any ? out : "none";
  };
  EXPECT_EQ(values(R"({"id":7,"a":"x","list":["y","z"],"deep":{"b":"w"}})"), "a=x list=y list=z b=w");
  EXPECT_EQ(values("a=1&b=2;c=3 d=4"), "a=1 b=2 c=3 d=4");
  EXPECT_EQ(values("plain text"), "none");
  EXPECT_EQ(values("a=" + std::string(200, 'x')), "none") << "a long value is not a piece";
  EXPECT_LE(values("[" +
                   [] {
                     std::string many;
                     for (int i = 0; i < 1000; ++i) many += "\"x\",";
                     return many;
                   }() +
                   "]")
                .size(),
            kMostValues * 4);
}

TEST(Stream, DecodesABoundedPartAtOnce) {
  constexpr size_t kSize = 8 << 20;
  for (bool secret : {false, true}) {
    std::string packed = gzipped(std::string(kSize, ' ') + (secret ? std::string(kKnown) : "nothing")), out;
    Stream stream(&catalog(), OnFinding::block, "gzip"), hasty(&catalog(), OnFinding::block, "gzip");
    size_t calls = 1;
    bool fine = stream.feed(packed, out);
    for (; fine && stream.behind(); ++calls) fine = stream.feed({}, out);
    EXPECT_GE(calls, kSize / (Stream::kDecoded + ContentDecoder::kPiece));
    EXPECT_EQ(fine && stream.end(out), !secret);
    EXPECT_EQ(out == packed, !secret);
    out.clear();
    EXPECT_EQ(hasty.feed(packed, out) && hasty.end(out), !secret) << "the end looks at all that waits";
    EXPECT_EQ(out == packed, !secret);
  }
}

TEST(Session, JoinsPiecesOfASecret) {
  using namespace std::chrono_literals;
  Session session(&catalog());
  std::chrono::steady_clock::time_point now{};
  auto value = [&](std::string_view name, std::string_view text) {
    auto findings = session.value(name, text, now += 1s).findings;
    return findings.empty() ? "" : findings[0].name;
  };
  // Other values are sent in between.
  EXPECT_EQ(value("q", kKnown.substr(0, 9)), "");
  EXPECT_EQ(value("lang", "en"), "");
  EXPECT_EQ(value("q", kKnown.substr(9, 9)), "");
  EXPECT_EQ(value("lang", "en"), "");
  EXPECT_EQ(value("q", kKnown.substr(18)), "deploy");
  // The pieces are sent under different names, one after another.
  now += 5min;
  EXPECT_EQ(value("a", kKnown.substr(0, 9)), "");
  EXPECT_EQ(value("b", kKnown.substr(9)), "deploy");
  // The pieces are too far apart in time.
  now += 5min;
  EXPECT_EQ(value("a", kKnown.substr(0, 9)), "");
  now += 5min;
  EXPECT_EQ(value("a", kKnown.substr(9)), "");
}

TEST(Session, ALongNameKeepsItsRow) {
  using namespace std::chrono_literals;
  Session session(&catalog());
  std::chrono::steady_clock::time_point now{};
  auto value = [&](const std::string& name, std::string_view text) {
    return session.value(name, text, now += 1ms).findings.size();
  };
  EXPECT_EQ(value("q", kKnown.substr(0, 9)), 0u);
  for (size_t i = 2; i < Session::kMostNames; ++i) EXPECT_EQ(value("name" + std::to_string(i), "en"), 0u);
  for (size_t i = 0; i < Session::kMostNames; ++i) EXPECT_EQ(value(std::string(kLongestPiece + 1, 'n'), "en"), 0u);
  EXPECT_EQ(value("q", kKnown.substr(9)), 1u) << "the row was lost, although no name is new";
}

TEST(Session, SaysWhenPiecesSpendALimit) {
  std::string words;  // their checksum is never correct
  for (int i = 0; i < 24; ++i) words += "zoo ";
  Session session(&catalog());
  EXPECT_FALSE(Detector(&catalog()).scan(words).incomplete);
  EXPECT_FALSE(session.value("note", words, {}).incomplete);
  EXPECT_TRUE(session.value("note", words, {}).incomplete);
}

// Returns the stream of a request to the model, which redacts what it finds.
Stream redacting() {
  return {&catalog(), OnFinding::report, {}, [](const Finding&) { return OnFinding::redact; }, MarkerStyle::json};
}

TEST(Stream, RedactedJsonStaysJson) {
  std::string token = filled("ghp_<alnum 36>", 2), list;
  for (unsigned char c : token) list += (list.empty() ? "" : ",") + std::to_string(c);
  for (const std::string& text :
       {json{{"a", "x\n" + token + "\n\"quoted\""}}.dump(), "{\"a\":\"\\u003d" + token + "\\\\\"}",
        "{\"bytes\":[" + list + "],\"n\":1}", json{{"a", std::string(kKnown) + "\\"}}.dump(),
        json{{"a", "\n" + std::string(kKnown.rbegin(), kKnown.rend())}}.dump()})
    for (size_t piece : {3u, 50u, 100000u}) {
      Stream stream = redacting();
      auto [out, whole] = streamed(stream, text, piece);
      EXPECT_TRUE(whole);
      EXPECT_EQ(out.size(), text.size());
      EXPECT_FALSE(json::parse(out, nullptr, false).is_discarded()) << text << "\n" << out;
      EXPECT_EQ(out.find(token), std::string::npos) << out;
      EXPECT_EQ(out.find(list), std::string::npos) << out;
    }
}

TEST(Stream, APrivateKeyIsRedactedWholeInEveryFormat) {
  auto shown = [](std::string_view margin, std::string_view line_end, bool numbers) {
    std::string text = "cat key\\n-----BEGIN PRIVATE KEY-----";
    for (uint32_t line = 0; line < 50; ++line)
      text.append(line_end)
          .append(numbers ? "   " + std::to_string(line + 2) : "")
          .append(margin)
          .append(filled("<base64 64>", line));
    return text.append(line_end).append("-----END PRIVATE KEY-----").append(line_end).append("and more");
  };
  for (const std::string& text :
       {shown("", "\n", false), shown("", "\\n", false), shown("", "\\\\n", false), shown("    ", "\n", false),
        shown("\\t", "\\n", true), shown("\xe2\x86\x92", "\\n", true)})
    for (size_t piece : {10u, 1000u, 100000u}) {
      Stream stream = redacting();
      auto [out, whole] = streamed(stream, text, piece);
      EXPECT_TRUE(whole);
      for (uint32_t line = 0; line < 50; ++line)
        ASSERT_EQ(out.find(filled("<base64 64>", line)), std::string::npos) << "line " << line << " of " << out;
      EXPECT_TRUE(out.ends_with("and more"));
    }
}

TEST(Stream, RedactionUsesTheSameMarkerWithPauses) {
  std::string token = filled("ghp_<alnum 36>", 2), key = "-----BEGIN PRIVATE KEY-----\n";
  for (uint32_t line = 0; line < 100; ++line) key += filled("<base64 64>\n", line);
  key += "-----END PRIVATE KEY-----\n";
  std::string packed = base64(filled("sk-ant-api03-<base64url 93>AA", 3), false);
  for (const auto& [secret, cuts] :
       {std::pair(token, std::vector<size_t>{30, 31, 39, 40}), std::pair(packed, std::vector<size_t>{80, 81, 82, 83}),
        std::pair(key, std::vector<size_t>{100, 1000, 5000, key.size()})})
    for (size_t cut : cuts) {
      std::string text = "a " + secret, out;
      Stream whole = redacting(), stream = redacting();
      std::string at_once = streamed(whole, text + " b", text.size()).first;
      EXPECT_TRUE(stream.feed(text.substr(0, cut + 2), out));
      EXPECT_TRUE(stream.release(out));
      EXPECT_FALSE(stream.holds());
      EXPECT_EQ(out.size(), cut + 2) << "nothing waits";
      EXPECT_TRUE(stream.feed(text.substr(cut + 2) + " b", out));
      EXPECT_TRUE(stream.end(out));
      EXPECT_TRUE(out == at_once) << cut << "\n" << out.substr(0, 100) << "\n" << at_once.substr(0, 100);
      std::string marker = secret == packed ? base64("[redacted: an", false) : "[redacted: ";
      EXPECT_TRUE(out.starts_with("a " + marker.substr(0, 11))) << out.substr(0, 100);
    }
}

// Returns text with the examples of all rules that block, as they are and in Base64 after a name, which two rules
// find.
std::string full_of_credentials(size_t size) {
  std::string out;
  for (uint32_t seed = 0; out.size() < size; ++seed)
    for (const Rule& rule : catalog().rules())
      for (const Example& example : rule.examples) {
        if (rule.warns || !example.positive) continue;
        std::string text = filled(example.text, seed);
        out += "\npassword: " + base64(text + "\n", false) + "\n" + prose(60) + text + "\n";
      }
  return out.substr(0, size);
}

TEST(Stream, TheSameMessageGetsTheSameMarkersHoweverItIsCut) {
  std::string text = json{{"content", full_of_credentials(80'000)}}.dump();
  Stream at_once = redacting();
  std::string whole = streamed(at_once, text, text.size()).first;
  ASSERT_FALSE(json::parse(whole, nullptr, false).is_discarded());
  for (size_t piece : {7u, 1000u, 1448u, 16'384u}) {
    Stream stream = redacting();
    std::string out = streamed(stream, text, piece).first;
    size_t at = static_cast<size_t>(std::ranges::mismatch(out, whole).in1 - out.begin());
    EXPECT_TRUE(out == whole) << piece << "\n" << out.substr(at, 100) << "\n" << whole.substr(at, 100);
  }
}

// A conversation grows with each turn, and the provider caches the part that is the same as in the last request.
TEST(Stream, AMessageThatGrowsKeepsTheMarkersOfItsBeginning) {
  std::string text = full_of_credentials(80'000), last, last_sent;
  for (size_t size = 5000; size < text.size(); size += 5000) {
    std::string body = json{{"content", json::array({text.substr(0, size)})}}.dump();
    Stream stream = redacting();
    std::string sent = streamed(stream, body, 3000 + size % 7000).first;
    // The bytes at the end of the shorter one may belong to a credential that only the longer one completes.
    size_t same = static_cast<size_t>(std::ranges::mismatch(last, body).in1 - last.begin());
    same -= std::min<size_t>(same, 600);
    EXPECT_EQ(sent.substr(0, same), last_sent.substr(0, same)) << size;
    last = std::move(body), last_sent = std::move(sent);
  }
}

TEST(Stream, APauseReplacesAllFindingsThatWaitForTheirEnd) {
  std::string text;
  for (uint32_t seed = 0; seed < 4; ++seed) text += base64(filled("ghp_<alnum 36>\n", seed), false) + " ";
  for (uint32_t seed = 4; seed < 6; ++seed) text += filled("ghp_<alnum 36> ", seed);
  Stream stream = redacting();
  std::string out;
  EXPECT_TRUE(stream.feed(text, out) && stream.release(out));
  EXPECT_EQ(out.size(), text.size());
  Stream again(&catalog(), OnFinding::report);
  EXPECT_TRUE(streamed(again, out, out.size()).second);
  EXPECT_TRUE(again.findings().empty()) << out;
}

// A text that decodes to the same as another one is not decoded again, unless something was found in it.
TEST(Stream, EachCopyOfASecretIsReplaced) {
  std::string token = filled("ghp_<alnum 36>", 2), known(kKnown);
  for (const std::string& copy :
       {base64(token, false), base64("key: " + known + "\n", false), each(known, "%02x"), each(token, "%%%02x"),
        lines(base64("x=" + known + " and more of the same text", false), 20, "\n"), each(known, "%c", " "),
        base64(gzipped(token), false)}) {
    std::string text;
    for (int i = 0; i < 20; ++i) text += "see " + copy + " or line " + std::to_string(i * i) + "\n";
    Stream stream = redacting(), again(&catalog(), OnFinding::report);
    std::string out = streamed(stream, text, text.size()).first;
    EXPECT_EQ(out.size(), text.size());
    streamed(again, out, out.size());
    EXPECT_TRUE(again.findings().empty()) << out;
  }
}

}  // namespace
}  // namespace bottle::scan
