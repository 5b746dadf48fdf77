#include "scan/encoding/content_decoder.h"

#include <gtest/gtest.h>
#include <zlib.h>

namespace bottle::scan {
namespace {

// Compresses the text. `window_bits` is zlib's argument: 31 for gzip, 15 for zlib, -15 for raw deflate.
std::string compressed(std::string_view text, int window_bits) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 32, 0);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

// Returns what the body decodes to, "bad", or the text with "…" if the body is incomplete.
std::string decoded(std::string_view codings, std::string body, size_t piece = 1 << 20) {
  auto decoder = ContentDecoder::make(codings);
  if (!decoder) return "unknown";
  std::string out, in;
  for (std::string_view rest = body; !rest.empty();) {
    in += rest.substr(0, piece);
    rest.remove_prefix(std::min(piece, rest.size()));
    for (bool moved = true; moved;) {
      std::string_view left = in;
      size_t before = out.size();
      if (!decoder->next(left, out)) return "bad";
      EXPECT_LE(out.size() - before, ContentDecoder::kPiece);
      moved = left.size() != in.size() || out.size() != before;
      in.erase(0, in.size() - left.size());
    }
  }
  return out + (decoder->complete() ? "" : "…");
}

TEST(ContentDecoder, TakesOffWhatItKnows) {
  std::string text = "a text, a text, a text";
  for (size_t piece : {1, 7, 1000}) {
    EXPECT_EQ(decoded("gzip", compressed(text, 31), piece), text);
    EXPECT_EQ(decoded("X-Gzip", compressed(text, 31), piece), text);
    EXPECT_EQ(decoded("deflate", compressed(text, 15), piece), text);
    EXPECT_EQ(decoded("deflate", compressed(text, -15), piece), text);
    EXPECT_EQ(decoded("deflate, gzip", compressed(compressed(text, 15), 31), piece), text);
    EXPECT_EQ(decoded("gzip,identity , gzip", compressed(compressed(text, 31), 31), piece), text);
    EXPECT_EQ(decoded("gzip", compressed("one ", 31) + compressed("two", 31), piece), "one two");
    EXPECT_EQ(decoded("gzip", compressed(text, 31) + std::string(22, '\0'), piece), text) << "padding";
  }
  for (std::string plain : {"", "identity", "aws-chunked", " , "}) EXPECT_EQ(decoded(plain, text), text);
}

TEST(ContentDecoder, KnowsWhatItDoesNotKnow) {
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

TEST(ContentDecoder, TakesOffBrotliAndZstd) {
  std::string text = "a text, a text, a text";
  for (size_t piece : {1, 7, 1000}) {
    EXPECT_EQ(decoded("br", kBrotli, piece), text);
    EXPECT_EQ(decoded("zstd", kZstd, piece), text);
    EXPECT_EQ(decoded("br, gzip", compressed(kBrotli, 31), piece), text);
  }
  EXPECT_TRUE(decoded("br", kBrotli.substr(0, 10)).ends_with("…"));
  EXPECT_TRUE(decoded("zstd", kZstd.substr(0, 10)).ends_with("…"));
}

TEST(ContentDecoder, NothingFollowsTheEnd) {
  std::string skipped("\x50\x2a\x4d\x18\x06\x00\x00\x00secret", 14);
  EXPECT_EQ(decoded("gzip", compressed("text", 31) + "secret"), "bad");
  EXPECT_EQ(decoded("gzip", compressed("text", 31) + std::string(3, '\0') + "secret"), "bad");
  EXPECT_EQ(decoded("deflate", compressed("text", 15) + "secret"), "bad");
  EXPECT_EQ(decoded("br", kBrotli + "secret"), "bad");
  EXPECT_EQ(decoded("zstd", kZstd + skipped), "bad");
  EXPECT_EQ(decoded("zstd", skipped + kZstd), "bad");
}

TEST(ContentDecoder, KnowsWhereABodyMayEnd) {
  EXPECT_EQ(decoded("gzip", ""), "") << "the answer to HEAD has none";
  std::string whole = compressed(std::string(1000, 'x'), 31);
  EXPECT_TRUE(decoded("gzip", whole.substr(0, whole.size() - 1)).ends_with("…"));
  EXPECT_EQ(decoded("gzip", whole).size(), 1000u);
}

TEST(ContentDecoder, ABombComesInPieces) {
  std::string bomb = compressed(compressed(std::string(2'000'000, '\0'), 31), 31);
  EXPECT_LT(bomb.size(), 3000u);
  EXPECT_EQ(decoded("gzip, gzip", bomb).size(), 2'000'000u);
}

}  // namespace
}  // namespace bottle::scan
