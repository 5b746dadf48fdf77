#include "scan/content/content_decoder.h"

#include <gtest/gtest.h>

#include "scan/content/compress_test.h"
#include "scan/content/empty_blocks_test.h"

namespace bottle::scan {
namespace {

// Each of the layers may take 16 KB in one step, and append a piece.
constexpr size_t kMostOfStep = ContentDecoder::kMost * (16 * 1024 + ContentDecoder::kPiece);

// Returns what the body decodes to, "bad", or the text with "…" if the body is incomplete.
std::string decoded(std::string_view codings, std::string body, size_t piece = 1 << 20) {
  auto decoder = ContentDecoder::make(codings);
  if (!decoder) return "unknown";
  std::string out;
  for (std::string_view rest = body; !rest.empty();) {
    std::string_view in = rest.substr(0, piece);
    rest.remove_prefix(in.size());
    for (auto step = ContentDecoder::Step::more; step != ContentDecoder::Step::all;) {
      size_t before = out.size();
      uint64_t moved = decoder->moved();
      step = decoder->next(in, out);
      if (step == ContentDecoder::Step::wrong) return "bad";
      EXPECT_LE(out.size() - before, ContentDecoder::kPiece);
      EXPECT_LE(decoder->moved() - moved, ContentDecoder::kAtOnce + kMostOfStep);
    }
    EXPECT_TRUE(in.empty()) << "what is not taken now would be lost";
  }
  return out + (decoder->complete() ? "" : "…");
}

TEST(ContentDecoder, RemovesKnownCodings) {
  std::string text = "a text, a text, a text";
  for (size_t piece : {1, 7, 1000}) {
    EXPECT_EQ(decoded("gzip", gzipped(text), piece), text);
    EXPECT_EQ(decoded("X-Gzip", gzipped(text), piece), text);
    EXPECT_EQ(decoded("deflate", deflated(text, 15), piece), text);
    EXPECT_EQ(decoded("deflate", deflated(text, -15), piece), text);
    EXPECT_EQ(decoded("deflate, gzip", gzipped(deflated(text, 15)), piece), text);
    EXPECT_EQ(decoded("gzip,identity , gzip", gzipped(gzipped(text)), piece), text);
    EXPECT_EQ(decoded("gzip", gzipped("one ") + gzipped("two"), piece), "one two");
    EXPECT_EQ(decoded("gzip", gzipped(text) + std::string(22, '\0'), piece), text) << "padding";
  }
  for (std::string plain : {"", "identity", "aws-chunked", " , ", "None", "UTF-8", "binary", "amz-1.0"})
    EXPECT_EQ(decoded(plain, text), text);
}

TEST(ContentDecoder, RefusesUnknownCodings) {
  for (std::string coding : {"compress", "gzip, lzma", "gzip gzip", "gzip,gzip,br,zstd"})
    EXPECT_EQ(decoded(coding, "x"), "unknown") << coding;
  EXPECT_EQ(decoded("gzip", "not gzip at all"), "bad");
  EXPECT_EQ(decoded("deflate", "\xff\xff\xff\xff"), "bad");
  EXPECT_EQ(decoded("br", "\xff\xff\xff\xff"), "bad");
  EXPECT_EQ(decoded("zstd", "not zstd at all"), "bad");
}

// "a text, a text, a text", as the programs brotli and zstd write it.
const std::string kBrotli =
    "\x8b\x0a\x80"
    "a text, a text, a text"
    "\x03";
const std::string kZstd = std::string("\x28\xb5\x2f\xfd\x20\x16\xb1\x00\x00", 9) + "a text, a text, a text";

TEST(ContentDecoder, RemovesBrotliAndZstd) {
  std::string text = "a text, a text, a text";
  for (size_t piece : {1, 7, 1000}) {
    EXPECT_EQ(decoded("br", kBrotli, piece), text);
    EXPECT_EQ(decoded("zstd", kZstd, piece), text);
    EXPECT_EQ(decoded("br, gzip", gzipped(kBrotli), piece), text);
  }
  EXPECT_TRUE(decoded("br", kBrotli.substr(0, 10)).ends_with("…"));
  EXPECT_TRUE(decoded("zstd", kZstd.substr(0, 10)).ends_with("…"));
}

TEST(ContentDecoder, ALayerThatYieldsNothingDoesNotBlockOthers) {
  for (size_t piece : {100, 1 << 20}) {
    std::string some = gzipped("text", std::string(300'000, 'x')), much = gzipped("text", std::string(3'000'000, 'x'));
    EXPECT_EQ(decoded("gzip, gzip", gzipped(some), piece), "text");
    EXPECT_EQ(decoded("gzip, zstd", zstd(some), piece), "text");
    EXPECT_EQ(decoded("gzip, zstd", zstd(much), piece), "bad");
    EXPECT_EQ(decoded("gzip", much, piece), "bad");
  }
  // The decoder of zstd takes a whole block before it returns any of it.
  std::string text;
  for (uint32_t i = 1; text.size() < 120'000; i = i * 1664525 + 1013904223)
    text += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[i >> 26];
  EXPECT_EQ(decoded("zstd, gzip", gzipped(zstd(text))), text);
}

TEST(ContentDecoder, RefusesBytesAfterTheEnd) {
  std::string skipped("\x50\x2a\x4d\x18\x06\x00\x00\x00secret", 14);
  EXPECT_EQ(decoded("gzip", gzipped("text") + "secret"), "bad");
  EXPECT_EQ(decoded("gzip", gzipped("text") + std::string(3, '\0') + "secret"), "bad");
  EXPECT_EQ(decoded("deflate", deflated("text", 15) + "secret"), "bad");
  EXPECT_EQ(decoded("br", kBrotli + "secret"), "bad");
  EXPECT_EQ(decoded("zstd", kZstd + skipped), "bad");
  EXPECT_EQ(decoded("zstd", skipped + kZstd), "bad");
}

TEST(ContentDecoder, ReportsWhereABodyMayEnd) {
  EXPECT_EQ(decoded("gzip", ""), "") << "the answer to HEAD has none";
  std::string whole = gzipped(std::string(1000, 'x'));
  EXPECT_TRUE(decoded("gzip", whole.substr(0, whole.size() - 1)).ends_with("…"));
  EXPECT_EQ(decoded("gzip", whole).size(), 1000u);
}

TEST(ContentDecoder, ADecompressionBombArrivesInPieces) {
  std::string bomb = gzipped(gzipped(std::string(2'000'000, '\0')));
  EXPECT_LT(bomb.size(), 3000u);
  EXPECT_EQ(decoded("gzip, gzip", bomb).size(), 2'000'000u);
}

// A decoder of gzip returns at the end of each member. Otherwise, the caller would look at its text after each one.
TEST(ContentDecoder, DecodesManyMembersInOneCall) {
  std::string body, out, text;
  for (int i = 0; i < 500; ++i) body += gzipped("a"), text += 'a';
  std::string_view in = body;
  EXPECT_EQ(ContentDecoder::make("gzip")->next(in, out), ContentDecoder::Step::all);
  EXPECT_EQ(out, text);
}

TEST(ContentDecoder, BoundsWhatInnerCodingsTake) {
  std::string inner = gzipped("").substr(0, 10);
  std::string piece = empty_blocks(size_t{900} * 1024 / 59 * 2, "a");
  for (int letters = 0; letters < 3; ++letters) inner += piece;
  std::string body = gzipped(gzipped(inner)), out;
  ASSERT_LT(body.size(), 1000u);
  auto decoder = *ContentDecoder::make("gzip, gzip, gzip");
  std::string_view in = body;
  EXPECT_EQ(decoder.next(in, out), ContentDecoder::Step::more);
  EXPECT_LE(decoder.moved(), ContentDecoder::kAtOnce + kMostOfStep);
  EXPECT_EQ(decoded("gzip, gzip, gzip", body), "bad");
  EXPECT_EQ(decoded("gzip, gzip", gzipped(gzipped(std::string(16 << 20, 'a')))).size(), size_t{16} << 20);
}

}  // namespace
}  // namespace bottle::scan
