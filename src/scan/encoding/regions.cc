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

// Returns whether eight bits in a row are set that begin in `low`.
bool has_row(uint64_t low, uint64_t high) {
  for (unsigned step : {1u, 2u, 4u}) {
    low &= low >> step | high << (kBlock - step);
    high &= high >> step;
  }
  return low != 0;
}

// Is compiled for each way to find the kinds.
template <typename F>
[[gnu::always_inline]] inline std::vector<Region> regions_of(std::string_view block, F kinds_of) {
  std::vector<Region> regions;
  auto add = [&](size_t begin, size_t end) {
    begin -= std::min(begin, kBlock);
    end = std::min(end + kBlock, block.size());
    if (!regions.empty() && begin <= regions.back().end + kFar) regions.back().end = end;
    else regions.push_back({begin, end});
  };
  size_t at = 0;
  uint64_t before = 0;  // the printable bytes of the block before `at`, unless it is part of a region
  while (at + kBlock <= block.size()) {
    Kinds kinds = kinds_of(block.data() + at);
    if (has_row(before, kinds.printable)) add(at - kBlock, at + kBlock);
    if (!looks_random(kinds) || has_row(kinds.printable, 0)) {
      size_t size = at % kStretch == 0 ? kStretch : kBlock;
      add(at, at + size);
      at += size;
      before = size == kBlock ? kinds.printable : 0;
    } else {
      at += kBlock;
      before = kinds.printable;
    }
  }
  if (at < block.size()) add(at, block.size());
  return regions;
}

#ifdef SCAN_HAS_WIDE
SCAN_WIDE std::vector<Region> wide_regions_of(std::string_view block) { return regions_of(block, wide_kinds_of); }
#endif

}  // namespace

std::vector<Region> text_regions(std::string_view block) {
#ifdef SCAN_HAS_WIDE
  if (use_wide) return wide_regions_of(block);
#endif
  return regions_of(block, kinds_of);
}

}  // namespace bottle::scan
