// Checks that a message with a Content-Encoding is scanned as it streams by.
#include <gtest/gtest.h>

#include "scan/catalog_test.h"
#include "scan/content/compress_test.h"
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
  for (size_t before = SIZE_MAX; before != body.size() + out.size();) {
    before = body.size() + out.size();
    if (!decoder->next(body, out)) break;
  }
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

TEST(CodedStream, CodedPiecesOfAnySizePassUnchanged) {
  std::string noise;
  for (uint32_t i = 0, state = 1; i < 400'000; ++i)
    noise += static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  for (const std::string& text : {prose(400'000), noise})
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
