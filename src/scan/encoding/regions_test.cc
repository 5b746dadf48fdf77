// Checks that text among random bytes is in a region, wherever it stands, and that random bytes are not.
#include "scan/encoding/regions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <tuple>

#include "scan/encoding/simd/wide.h"
#include "scan/encoding/survey.h"

namespace bottle::scan {
namespace {

std::string random_bytes(size_t size) {
  std::mt19937 random(3);
  std::string out;
  while (out.size() < size) out += static_cast<char>(random());
  return out;
}

bool covers(const std::vector<Region>& regions, size_t begin, size_t end) {
  return std::ranges::any_of(regions, [&](const Region& each) { return each.begin <= begin && end <= each.end; });
}

std::string repeated(std::string_view piece, size_t times) {
  std::string out;
  while (times-- > 0) out.append(piece);
  return out;
}

size_t bytes_in(const std::vector<Region>& regions) {
  size_t inside = 0;
  for (const Region& each : regions) inside += each.end - each.begin;
  return inside;
}

TEST(Regions, RandomBytesAreMostlyOutside) {
  std::string bytes = random_bytes(1 << 20);
  auto [text, rows] = text_regions(bytes);
  EXPECT_LT(bytes_in(text), bytes.size() / 25);
  EXPECT_LT(bytes_in(rows), bytes.size() / 25);
}

TEST(Regions, TextIsInsideAtEveryPosition) {
  using namespace std::string_view_literals;
  const std::string around = random_bytes(4096);
  const std::pair<const char*, std::string> texts[] = {
      {"eleven characters", "a-secret-11"},
      {"a token", "ghp_0123456789abcdefghijklmnopqrstuvwxyz"},
      {"UTF-8 of three bytes", repeated("\xe4\xbd\xa0\xe5\xa5\xbd", 40)},
      {"UTF-16", repeated("t\0e\0x\0t\0"sv, 20)},
      {"a token in UTF-16", repeated("t\0e\0x\0t\0"sv, 8)},
      {"digits with zeros between them", repeated("41\0"sv, 80)},
      {"digits with two control characters between them", repeated("41\1\2", 60)},
      {"digits with UTF-8 between them", repeated("41\xc2\xb7", 60)},
      {"numbers with zeros between them", repeated("65\0\0"sv, 60)},
      {"digits with two unlike bytes between them", repeated("41\x80\1", 80)},
      {"numbers with three unlike bytes between them", repeated("65\x80\1\x81", 60)},
  };
  for (const auto& [name, text] : texts)
    for (size_t at = 1024; at < 1024 + 130; ++at) {
      std::string block = around;
      block.replace(at, text.size(), text);
      // Of what has no eight printable characters in a row, the first and last blocks of 64 bytes need not be full.
      size_t begin = text.size() > 200 ? at + 64 : at, end = at + text.size() - (text.size() > 200 ? 64 : 0);
      ASSERT_TRUE(covers(text_regions(block).text, begin, end)) << name << " at " << at;
    }
}

TEST(Regions, ShortRowsAreInsideAtEveryPosition) {
  const std::string around = random_bytes(4096);
  for (std::string_view row : {"a-secret", "a-secret+", "a-secret-1"})
    for (size_t at = 1024; at < 1024 + 130; ++at) {
      std::string block = around;
      block.replace(at, row.size(), row);
      auto [text, rows] = text_regions(block);
      ASSERT_TRUE(covers(rows, at, at + row.size()) || covers(text, at, at + row.size())) << row << " at " << at;
    }
}

TEST(Regions, AreSeparateAndInOrder) {
  std::string bytes = random_bytes(1 << 16);
  for (size_t at = 0; at + 16 < bytes.size(); at += 1500) bytes.replace(at, 16, "sixteen letters.");
  auto [text, rows] = text_regions(bytes);
  for (const auto& list : {text, rows}) {
    size_t last = 0;
    for (const Region& each : list) {
      EXPECT_TRUE(each.begin == 0 || each.begin > last);
      EXPECT_GT(each.end, each.begin);
      EXPECT_LE(each.end, bytes.size());
      last = each.end;
    }
  }
}

// Compares the results of both ways to look at bytes, if this processor has both.
TEST(Regions, AreTheSameOnEveryProcessor) {
  std::string bytes = random_bytes(1 << 16);
  std::mt19937 random(8);
  auto pick = [&](size_t n) { return random() % n; };
  constexpr std::string_view kPieces[] = {"a text, ",
                                          "%41",
                                          "\\u0041",
                                          "&amp;",
                                          "\x1f\x8b\x08",
                                          "\x78\x9c",
                                          "41 ",
                                          "\x28\xb5\x2f\xfd",
                                          "abcdefghijklmnopqrstuvwxyz0123456789+/-_"};
  for (int i = 0; i < 500; ++i) {
    std::string piece = repeated(kPieces[pick(std::size(kPieces))], 1 + pick(20));
    bytes.replace(pick(bytes.size() - piece.size()), piece.size(), piece);
  }
  auto look = [](std::string_view block) {
    auto regions = text_regions(block);
    std::vector<Spot> spots;
    survey(block, regions.text, spots);
    std::vector<std::tuple<int, size_t, size_t>> all;
    for (const Region& each : regions.text) all.emplace_back(-1, each.begin, each.end);
    for (const Region& each : regions.rows) all.emplace_back(-2, each.begin, each.end);
    for (const Spot& each : spots) all.emplace_back(static_cast<int>(each.shape), each.begin, each.end);
    return all;
  };
  bool usual = use_wide;
  for (int i = 0; i < 300; ++i) {
    size_t begin = pick(bytes.size()), size = pick(3000);
    std::string_view block = std::string_view(bytes).substr(begin, size);
    use_wide = usual;
    auto found = look(block);
    use_wide = false;
    ASSERT_EQ(found, look(block)) << begin << " " << size;
  }
  use_wide = usual;
}

TEST(Regions, AShortBlockIsOneRegion) {
  EXPECT_TRUE(text_regions("").text.empty());
  EXPECT_TRUE(covers(text_regions("\xff\xfe").text, 0, 2));
}

}  // namespace
}  // namespace bottle::scan
