// Checks that a message with a Content-Encoding is scanned as it streams by.
#include <gtest/gtest.h>

#include "scan/content/compress_test.h"
#include "scan/disguise_test.h"
#include "scan/message/stream.h"
#include "scan/message/stream_test.h"

namespace bottle::scan {
namespace {

TEST(CodedStream, ScansCompressedBodies) {
  std::string harmless = prose(300000), packed = gzipped(harmless);
  Stream clean(&catalog(), OnFinding::block, "gzip");
  EXPECT_EQ(streamed(clean, packed, 1000), std::pair(packed, true));
  std::string bad = gzipped(prose(300000) + std::string(kKnown));
  Stream stream(&catalog(), OnFinding::redact, "gzip");
  EXPECT_FALSE(streamed(stream, bad, 1000).second) << "what is compressed cannot be redacted";
  Stream unknown(&catalog(), OnFinding::block, "exi");
  EXPECT_FALSE(streamed(unknown, "x", 1).second);
  EXPECT_EQ(unknown.problem(), "the body has a content coding that the guard cannot read");
  Stream broken(&catalog(), OnFinding::block, "gzip");
  EXPECT_FALSE(streamed(broken, "\x1f\x8b\x08 no gzip", 100).second);
}

TEST(CodedStream, ScansBytesThatADecoderSkips) {
  std::string packed = gzipped(prose(3000), "a comment with " + std::string(kKnown));
  for (size_t size : {1u, 100u, 100000u}) {
    Stream stream(&catalog(), OnFinding::block, "gzip");
    EXPECT_FALSE(streamed(stream, packed, size).second) << size;
    ASSERT_EQ(stream.findings().size(), 1u);
    EXPECT_EQ(stream.findings()[0].name, "deploy");
  }
}

// Returns what a receiver can decode of a body that was cut off.
std::string decoded(std::string_view codings, std::string_view body) {
  auto decoder = ContentDecoder::make(codings);
  std::string out;
  while (decoder->next(body, out) == ContentDecoder::Step::more) continue;
  return out;
}

TEST(CodedStream, NoByteOfASecretLeavesInCodedPiecesOfAnySize) {
  for (size_t place : {0u, 500u, 5000u})
    for (size_t piece : {1u, 2u, 7u, 64u, 1000u}) {
      std::string before = prose(place) + " ", packed = gzipped(before + std::string(kKnown) + " " + prose(3000));
      Stream stream(&catalog(), OnFinding::block, "gzip");
      auto [out, whole] = streamed(stream, packed, piece);
      EXPECT_FALSE(whole);
      EXPECT_TRUE(before.starts_with(decoded("gzip", out))) << piece << " " << place;
    }
}

// A decoder of zstd decodes a block when all of it is there. Someone else may decode the part that has arrived.
TEST(CodedStream, NoPartOfABlockLeavesThatCannotBeScannedYet) {
  std::string text = prose(20'000) + std::string(kKnown) + prose(100'000);
  std::string packed = zstd(text), out;
  for (size_t piece : {1u, 100u, 5000u}) {
    Stream stream(&catalog(), OnFinding::block, "zstd");
    std::string_view rest = std::string_view(packed).substr(0, packed.size() / 2);
    for (; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size())))
      ASSERT_TRUE(stream.feed(rest.substr(0, piece), out));
    EXPECT_TRUE(stream.release(out));
    EXPECT_LT(out.size(), 32u) << "nothing of the block";
    EXPECT_FALSE(stream.holds());
    EXPECT_FALSE(streamed(stream, std::string_view(packed).substr(packed.size() / 2), piece).second);
    out.clear();
  }
}

// Returns bytes that cannot be compressed.
std::string noise(size_t size) {
  std::string out;
  for (uint32_t state = 1; out.size() < size;) out += static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return out;
}

// The last block has no header after it, and may have a checksum.
TEST(CodedStream, NoPartOfTheLastBlockLeavesThatCannotBeScannedYet) {
  for (bool has_checksum : {false, true}) {
    std::string packed = zstd(prose(20'000) + std::string(kKnown) + prose(100'000), has_checksum);
    for (size_t cut : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u})
      for (bool is_inner : {false, true}) {
        std::string body = packed.substr(0, packed.size() - cut), out;
        if (is_inner) body = gzipped(body);
        Stream stream(&catalog(), OnFinding::block, is_inner ? "zstd, gzip" : "zstd");
        if (stream.feed(body, out)) EXPECT_TRUE(stream.release(out));
        EXPECT_LT(out.size(), 32u) << cut << has_checksum << is_inner;
        EXPECT_FALSE(stream.end(out));
        EXPECT_LT(out.size(), 32u) << cut << has_checksum << is_inner;
      }
  }
}

// Returns a body of Brotli that has the text as it is (RFC 7932, section 9.2).
std::string brotli(std::string_view text) {
  // A window of 64 KB, a block that is not the last one, its length in 16 bits, and a mark that it is not compressed.
  size_t header = (text.size() - 1) << 4 | 1 << 20;
  std::string out;
  for (int i = 0; i < 3; ++i) out += static_cast<char>(header >> (8 * i));
  return out.append(text) + '\3';  // and an empty last block
}

TEST(CodedStream, ABodyThatEndsBeforeItsCodingDoesIsNotScanned) {
  std::string text = prose(5000);
  auto ends_early = [](const char* codings, std::string_view body) {
    SCOPED_TRACE(std::string(codings) + ", " + std::to_string(body.size()));
    Stream stream(&catalog(), OnFinding::block, codings), reporting(&catalog(), OnFinding::report, codings);
    bool passes = streamed(stream, body, 500).second;
    EXPECT_EQ(stream.problem(), passes ? "" : "the body ends before its content coding does");
    EXPECT_EQ(streamed(reporting, body, 500), std::pair(std::string(body), true));
    EXPECT_EQ(reporting.unscanned(), stream.problem());
    return !passes;
  };
  for (const auto& [codings, body] : {std::pair("gzip", gzipped(text)), std::pair("br", brotli(text)),
                                      std::pair("zstd", zstd(text)), std::pair("gzip, zstd", zstd(gzipped(text)))}) {
    EXPECT_FALSE(ends_early(codings, body));
    EXPECT_FALSE(ends_early(codings, ""));
    for (size_t cut : {size_t{1}, size_t{5}, size_t{100}, body.size() - 1})
      EXPECT_TRUE(ends_early(codings, std::string_view(body).substr(0, body.size() - cut)));
  }
  EXPECT_TRUE(ends_early("gzip, zstd", zstd(gzipped(text).substr(0, 500)))) << "the inner coding";
}

// Returns one frame of zstd whose blocks end where the texts do.
std::string zstd_blocks(const std::vector<std::string>& texts) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  std::string packed(1 << 20, '\0');
  ZSTD_outBuffer to{packed.data(), packed.size(), 0};
  for (const std::string& text : texts) {
    ZSTD_inBuffer from{text.data(), text.size(), 0};
    EXPECT_EQ(ZSTD_compressStream2(context, &to, &from, ZSTD_e_flush), 0u);
  }
  ZSTD_freeCCtx(context);
  packed.resize(to.pos);
  return packed;
}

// What has left cannot be taken back, and the whole blocks before one that has begun were scanned.
TEST(CodedStream, ABlockThatHasBegunDoesNotKeepThoseBeforeIt) {
  std::vector<std::string> texts;
  for (int i = 0; i < 20; ++i) texts.push_back(noise(10'000));
  std::string whole = zstd_blocks(texts);
  texts.push_back(prose(100'000));
  std::string body = zstd_blocks(texts);
  ASSERT_TRUE(body.starts_with(whole));
  for (bool together : {false, true}) {
    Stream stream(&catalog(), OnFinding::block, "zstd");
    std::string out;
    size_t first = whole.size() + (together ? 1000 : 0);
    ASSERT_TRUE(stream.feed(body.substr(0, first), out));
    ASSERT_TRUE(stream.feed(body.substr(first, whole.size() + 1000 - first), out));
    ASSERT_TRUE(stream.release(out));
    EXPECT_EQ(out, whole) << together;
  }
}

TEST(CodedStream, CodedPiecesOfAnySizePassUnchanged) {
  for (const std::string& text : {prose(250'000), noise(250'000)})
    for (const auto& [codings, packed] :
         {std::pair("gzip", gzipped(text)), std::pair("zstd", zstd(text)), std::pair("gzip, zstd", zstd(gzipped(text))),
          std::pair("zstd, gzip", gzipped(zstd(text)))})
      for (size_t piece : {17u, 4000u, 200'000u}) {
        Stream stream(&catalog(), OnFinding::report, codings);
        EXPECT_EQ(streamed(stream, packed, piece), std::pair(packed, true)) << codings << piece << stream.problem();
        EXPECT_LT(stream.memory(), 10u << 20) << codings << piece;
      }
}

}  // namespace
}  // namespace bottle::scan
