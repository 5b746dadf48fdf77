// Counts the kinds of bytes in 64 bytes at a time. Random bytes have each kind with a known frequency, so a block
// with clearly different frequencies is not random and may contain text. Mistaking random bytes for text only costs
// time. The thresholds are chosen so that text is never mistaken for random bytes. A sequence of printable characters
// always makes a region, even if it crosses two blocks.
#include "scan/encoding/regions.h"

#include <algorithm>
#include <bit>

#include "scan/encoding/simd/masks.h"
#include "scan/encoding/simd/wide.h"

namespace bottle::scan {
namespace {

constexpr size_t kBlock = 64;
constexpr size_t kStretch =
    8 * kBlock;               // text begins and ends rarely, so the next blocks are most likely like this one
constexpr size_t kFar = 256;  // regions that are closer to each other become one

// Of 64 random bytes, 24.75 are printable or zero, 32 are above 127, 7.5 are control characters, and 5.5 are
// hexadecimal digits. Of numbers of two digits with three other bytes between them, 25 are.
constexpr int kMostPrintable = 38, kFewestHigh = 14, kFewestControls = 2, kMostDigits = 16;

struct Kinds {
  uint64_t printable;  // or zero, as in UTF-16
  uint64_t high;
  uint64_t digits;  // hexadecimal
};

Kinds kinds_of(const char* bytes) {
  Block block = load_block(reinterpret_cast<const uint8_t*>(bytes));
  return {
      mask_of(block,
              [](const Lanes& c) { return within(c, 0x20, 0x5f) | within(c, '\t', 2) | equal(c, '\r') | equal(c, 0); }),
      mask_of(block, [](const Lanes& c) { return within(c, 128, 128); }),
      mask_of(block, [](const Lanes& c) { return within(c, '0', 10) | within(c | 32, 'a', 6); })};
}

#ifdef SCAN_HAS_WIDE
constexpr std::string_view kPrintable{
    "\0\t\n\r !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~", 99};
constexpr WideSet kWidePrintable{kPrintable}, kWideDigits{"0123456789abcdefABCDEF"};

SCAN_WIDE inline Kinds wide_kinds_of(const char* bytes) {
  Wide c(bytes);
  return {c.in(kWidePrintable), c.high(), c.in(kWideDigits)};
}
#endif

[[gnu::always_inline]] inline bool looks_random(const Kinds& kinds) {
  int printable = std::popcount(kinds.printable), high = std::popcount(kinds.high);
  return printable < kMostPrintable && high >= kFewestHigh && std::popcount(kinds.digits) <= kMostDigits &&
         static_cast<int>(kBlock) - printable - high >= kFewestControls;
}

// Returns the positions where kShortRow consecutive set bits begin.
[[gnu::always_inline]] inline uint64_t short_rows(uint64_t mask) {
  static_assert(kShortRow == 8);
  // Each step doubles the number of consecutive bits that a set bit stands for.
  for (unsigned step : {1u, 2u, 4u}) mask &= mask >> step;
  return mask;
}

bool has_text_row(uint64_t short_rows) {
  for (size_t i = kShortRow; i < kTextRow; ++i) short_rows &= short_rows >> 1;
  return short_rows != 0;
}

// Returns the length of the row that begins in `before` and ends in `mask`, or 0.
[[gnu::always_inline]] inline size_t row_across(uint64_t before, uint64_t mask) {
  auto there = static_cast<size_t>(std::countl_one(before)), here = static_cast<size_t>(std::countr_one(mask));
  return there && here ? there + here : 0;
}

// Adds a region, which becomes one with the last region if it is not farther away than `far`.
void add(std::vector<Region>& regions, size_t begin, size_t end, size_t far) {
  if (!regions.empty() && begin <= regions.back().end + far) regions.back().end = end;
  else regions.push_back({begin, end});
}

// Adds a region of the bytes [begin, end) and those around it.
void add_text(Regions& regions, size_t begin, size_t end, size_t size) {
  add(regions.text, begin - std::min(begin, kBlock), std::min(end + kBlock, size), kFar);
}

// This is a template so that it is compiled once for each implementation of the masks.
template <typename F>
[[gnu::always_inline]] inline Regions regions_of(std::string_view block, F kinds_of) {
  Regions regions;
  size_t at = 0;
  uint64_t before = 0;  // the printable bytes of the block before `at`, unless it is part of a region of text
  while (at + kBlock <= block.size()) {
    Kinds kinds = kinds_of(block.data() + at);
    if (size_t row = row_across(before, kinds.printable); row >= kShortRow) [[unlikely]] {
      if (row < kTextRow) add(regions.rows, at - kTextRow, at + kTextRow, 0);
      else add_text(regions, at - kBlock, at + kBlock, block.size());
    }
    uint64_t rows = short_rows(kinds.printable);
    bool random = looks_random(kinds);
    if (!random || (rows && has_text_row(rows))) {
      size_t size = !random && at % kStretch == 0 ? kStretch : kBlock;
      add_text(regions, at, at + size, block.size());
      at += size;
      before = size == kBlock ? kinds.printable : 0;
    } else {
      if (rows) [[unlikely]]
        add(regions.rows, at, at + kBlock, 0);
      at += kBlock;
      before = kinds.printable;
    }
  }
  // Less than 64 bytes are too few to judge.
  if (at < block.size()) add_text(regions, at, block.size(), block.size());
  return regions;
}

#ifdef SCAN_HAS_WIDE
SCAN_WIDE Regions wide_regions_of(std::string_view block) { return regions_of(block, wide_kinds_of); }
#endif

}  // namespace

Regions text_regions(std::string_view block) {
#ifdef SCAN_HAS_WIDE
  if (use_wide) return wide_regions_of(block);
#endif
  return regions_of(block, kinds_of);
}

}  // namespace bottle::scan
