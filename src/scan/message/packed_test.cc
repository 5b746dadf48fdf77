// Checks that compressed bytes cost a message what they cost the guard, even if they decode to almost nothing.
#include <gtest/gtest.h>

#include "scan/content/compress_test.h"
#include "scan/content/empty_blocks_test.h"
#include "scan/disguise_test.h"
#include "scan/message/stream.h"

namespace bottle::scan {
namespace {

constexpr size_t kTail = 24 * 1024;
std::string tail() { return empty_blocks(kTail / 59 * 2); }

// Returns headers of entries of a zip file that all lead to the same data.
std::string zip_entries(size_t count, std::string_view data) {
  constexpr size_t kHeader = 30;
  std::string out;
  for (; count > 0; --count) {
    size_t skipped = (count - 1) * kHeader, name = std::min<size_t>(skipped, 0xffff), extra = skipped - name;
    out.append("PK\3\4\x14\0\0\0\x08\0", 10).append(16, '\0');
    for (size_t size : {name, extra}) out += {static_cast<char>(size), static_cast<char>(size >> 8)};
  }
  return out.append(data);
}

// Returns headers of gzip whose fields end where the data begins.
std::string gzip_headers(size_t count, std::string_view data) {
  constexpr size_t kHeader = 12;
  std::string out;
  for (; count > 0; --count) {
    size_t skipped = (count - 1) * kHeader;
    out.append("\x1f\x8b\x08\4\0\0\0\0\0\3", 10);
    out += {static_cast<char>(skipped), static_cast<char>(skipped >> 8)};
  }
  return out.append(data);
}

// Building the tables of a block takes more than two microseconds, which is 4000 units.
TEST(Packed, CountsTheWorkOfBlocksWithoutOutput) {
  constexpr size_t kTables = 4000, kBlocks = 20;
  std::string blocks = empty_blocks(kBlocks);
  for (const std::string& packed : {std::string("\x1f\x8b\x08\0\0\0\0\0\0\3", 10) + blocks,
                                    std::string("\x78\x9c") + blocks, zip_entries(1, blocks)}) {
    auto result = Detector(&catalog()).scan(packed);
    EXPECT_GE(result.work, kBlocks * kTables);
    EXPECT_FALSE(result.incomplete);
  }
  std::string secret = "the value is " + std::string(kKnown);
  EXPECT_EQ(found("a file " + zip_entries(1, blocks + deflated(secret, -15))), "deploy (zip)");
  EXPECT_EQ(found(std::string("\x1f\x8b\x08\4\0\0\0\0\0\3\2\0ab", 14) + deflated(secret, -15)), "deploy (gzip)");
  EXPECT_EQ(found(gzipped(secret, "a comment")), "deploy (gzip)");
}

TEST(Packed, BytesThatManyHeadersShareAreCountedForEach) {
  constexpr size_t kMostOver = 2 * 65536;
  for (const std::string& text : {zip_entries(300, tail()), gzip_headers(900, tail()), base64(zip_entries(300, tail())),
                                  base64(gzip_headers(900, tail()))})
    for (auto effort : {Effort::bounded, Effort::thorough}) {
      auto result = Detector(&catalog(), effort).scan(text);
      EXPECT_TRUE(result.incomplete);
      size_t times = effort == Effort::thorough ? 2 : 1;
      EXPECT_LE(result.work, times * (text.size() * Detector::kMostWork + Detector::kFreeWork) + kMostOver);
    }
}

// Some kilobytes become a megabyte of headers and data.
TEST(Packed, BoundsTheWorkOfHeadersThatAreThemselvesPacked) {
  std::string inner = zip_entries(3000, empty_blocks(size_t{900} * 1024 / 59 * 2)), packed = gzipped(inner);
  ASSERT_LT(packed.size(), 16 * 1024u);
  for (const std::string& text : {packed, "/path/" + base64(packed, true)}) {
    auto result = Detector(&catalog(), Effort::thorough).scan(text);
    EXPECT_TRUE(result.incomplete);
    size_t most = 2 * ((text.size() + result.unpacked) * Detector::kMostWork + Detector::kFreeWork);
    EXPECT_LE(result.work, most + most / 8);
  }
}

TEST(Packed, ManyEntriesOfZipFilesWithoutOutputMakeTheScanIncomplete) {
  std::string entry = zip_entries(1, empty_blocks(2));
  EXPECT_TRUE(Detector(&catalog()).scan(many(entry, entry.size() * (Detector::kMostMarks + 1))).incomplete);
  for (const char* content : {"", "3\n", "0.12.1\n"}) {
    std::string tiny = zip_entry("a", content);
    EXPECT_FALSE(Detector(&catalog()).scan(many(tiny, tiny.size() * (Detector::kMostMarks + 1))).incomplete) << content;
  }
}

// Returns about `size` bytes of pieces that `pack` makes of different short texts, as one uploads them in many files.
template <typename F>
std::string packed_pieces(size_t size, F pack) {
  static constexpr std::string_view kWords[] = {"fix",    "tests",  "for",    "parser", "remove", "unused",
                                                "cache",  "update", "build",  "paths",  "when",   "server",
                                                "answer", "early",  "config", "reader"};
  uint32_t state = 1;
  auto next = [&](uint32_t below) { return (state = state * 1664525 + 1013904223) % 65521 % below; };
  std::string out;
  while (out.size() < size) {
    std::string text = "tree ";
    for (int i = 0; i < 40; ++i) text += "0123456789abcdef"[next(16)];
    text += "\nauthor A U Thor <author@example.org> " + std::to_string(1700000000 + next(65000)) + " +0000\n\n";
    for (int i = 0; i < 5; ++i) (text += kWords[next(16)]) += i < 4 ? ' ' : '\n';
    out += pack(text);
  }
  return out;
}

TEST(Packed, ManySmallPiecesWithTextAreScannedWhole) {
  const std::pair<const char*, std::string (*)(const std::string&)> kKinds[] = {
      {"objects of git", [](const std::string& text) { return "\x9e\x0b" + deflated(text, 15); }},
      {"files of a zip", [](const std::string& text) { return zip_entry("labels/000001.json", text); }},
      {"members of gzip", [](const std::string& text) { return gzipped(text); }},
      {"frames of zstd", [](const std::string& text) { return zstd(text); }}};
  for (const auto& [kind, pack] : kKinds) {
    std::string block = packed_pieces(32 * 1024, pack);
    auto result = Detector(&catalog()).scan(block);
    EXPECT_FALSE(result.incomplete) << kind << ": " << result.work << " units";
    std::string secret = pack("the value is " + std::string(kKnown) + " and this is not all of it");
    EXPECT_EQ(Detector(&catalog()).scan(block + secret).findings.size(), 1u) << kind;
  }
}

// Decompressed text may use its own allowance of work, but does not fill the reserve.
TEST(Packed, DecompressedTextSavesNoWork) {
  constexpr size_t kSize = 32 * 1024;
  auto own = *Catalog::builtin();
  own.build();
  own.limit_steady_work(8 << 20);
  std::string costly = many("DB_PASSWORD=changeme\nAPI_TOKEN=your-token-here\nSECRET_KEY=<secret>\n", kSize),
              packed = gzipped(many("Some words of a text that people write, with names and numbers in it. ", 1 << 20));
  while (!Detector(&own).scan(costly).incomplete) continue;
  EXPECT_FALSE(Detector(&own).scan(packed).incomplete);
  EXPECT_TRUE(Detector(&own).scan(costly).incomplete);
}

// The outer codings make much of a few bytes, and the inner one makes next to nothing of it.
std::string nested(size_t letters) {
  std::string inner("\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
  static const std::string piece = empty_blocks(size_t{900} * 1024 / 59 * 2, "a");
  for (; letters > 0; --letters) inner += piece;
  return gzipped(gzipped(inner));
}

TEST(Packed, AStreamDecodesABoundedPartOfInnerCodingsAtOnce) {
  for (size_t letters : {1u, 3u}) {
    std::string body = nested(letters), out;
    ASSERT_LT(body.size(), 2048u);
    Stream stream(&catalog(), OnFinding::block, "gzip, gzip, gzip");
    size_t calls = 1;
    bool fine = stream.feed(body, out);
    for (; fine && stream.behind(); ++calls) fine = stream.feed({}, out);
    EXPECT_GE(calls, 4u);
    EXPECT_LE(calls, 20u);
    EXPECT_EQ(fine, letters == 1) << "more than a megabyte of a few bytes";
  }
}

}  // namespace
}  // namespace bottle::scan
