#include "scan/encoding/regions.h"

#include <algorithm>
#include <bit>

#include "scan/encoding/masks.h"
#include "scan/encoding/wide.h"

namespace bottle::scan {
namespace {

constexpr size_t kBlock = 64;
constexpr size_t kStretch = 8 * kBlock;  // text begins and ends rarely, so one block speaks for those that follow it
constexpr size_t kFar = 256;             // regions that are closer to each other become one

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
SCAN_WIDE Kinds wide_kinds_of(const char* bytes) {
  Wide c(bytes);
  return {c.within(0x20, 0x5f) | c.within('\t', 2) | c.equal('\r') | c.equal(0), c.within(128, 128),
          c.within('0', 10) | c.with(32).within('a', 6)};
}
#endif

[[gnu::always_inline]] inline bool looks_random(const Kinds& kinds) {
  int printable = std::popcount(kinds.printable), high = std::popcount(kinds.high);
  return printable < kMostPrintable && high >= kFewestHigh && std::popcount(kinds.digits) <= kMostDigits &&
         static_cast<int>(kBlock) - printable - high >= kFewestControls;
}

// Returns the positions where a row of kShortRow set bits begins that begins in `low`.
[[gnu::always_inline]] inline uint64_t short_rows(uint64_t low, uint64_t high) {
  static_assert(kShortRow == 8);
  for (unsigned step : {1u, 2u, 4u}) {
    low &= low >> step | high << (kBlock - step);
    high &= high >> step;
  }
  return low;
}

// Returns whether one of the short rows goes on for kTextRow bits. Only the first rows of the next block are known.
bool has_text_row(uint64_t rows, uint64_t rows_after) {
  for (unsigned i = 0; i < kTextRow - kShortRow; ++i) {
    rows &= rows >> 1 | rows_after << (kBlock - 1);
    rows_after >>= 1;
  }
  return rows != 0;
}

// Adds a region of the bytes [begin, end) and those around it.
void add(std::vector<Region>& regions, size_t begin, size_t end, size_t size) {
  begin -= std::min(begin, kBlock);
  end = std::min(end + kBlock, size);
  if (!regions.empty() && begin <= regions.back().end + kFar) regions.back().end = end;
  else regions.push_back({begin, end});
}

// Where a row may begin that ends in the next block.
constexpr uint64_t kMayCross = ~uint64_t{0} << (kBlock - kTextRow + 1);

// Is compiled for each way to find the kinds.
template <typename F>
[[gnu::always_inline]] inline Regions regions_of(std::string_view block, F kinds_of) {
  Regions regions;
  size_t at = 0;
  uint64_t before = 0;  // the printable bytes of the block before `at`, unless it is part of a region of text
  while (at + kBlock <= block.size()) {
    Kinds kinds = kinds_of(block.data() + at);
    uint64_t here = short_rows(kinds.printable, 0), across = short_rows(before, kinds.printable) & kMayCross;
    if (across) [[unlikely]]
      add(has_text_row(across, here) ? regions.text : regions.rows, at - kBlock, at + kBlock, block.size());
    bool random = looks_random(kinds);
    if (!random || (here && has_text_row(here, 0))) {
      size_t size = !random && at % kStretch == 0 ? kStretch : kBlock;
      add(regions.text, at, at + size, block.size());
      at += size;
      before = size == kBlock ? kinds.printable : 0;
    } else {
      if (here) [[unlikely]]
        add(regions.rows, at, at + kBlock, block.size());
      at += kBlock;
      before = kinds.printable;
    }
  }
  if (at < block.size()) add(regions.text, at, block.size(), block.size());
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
