// A run is read as one mask for each smaller alphabet, with one bit for each character, in which the sequences of set
// bits are the parts.
#include "scan/encoding/run_parts.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "scan/encoding/escapes.h"
#include "scan/encoding/simd/survey_masks.h"

namespace bottle::scan {
namespace {

// Holds masks of the characters of a run that belong to smaller alphabets.
struct Alphabets {
  uint64_t hex, base32, capitals, small;  // the last two are digits of Base32 in one case
};
using RunMasks = std::vector<Alphabets>;
#ifdef SCAN_HAS_WIDE
SCAN_WIDE Alphabets wide_alphabets_of(const Wide& c) {
  Wide small = c.with(32);
  uint64_t digits = c.within('2', 6), capitals = c.within('A', 26), letters = small.within('a', 26);
  return {c.within('0', 10) | small.within('a', 6), digits | letters, digits | capitals,
          digits | (letters & ~capitals)};
}
// Adds the masks of the run, of each 64 bytes at once.
SCAN_WIDE void add_wide_masks(std::string_view run, RunMasks& masks) {
  for (size_t at = 0; at < run.size(); at += kBlock)
    masks.push_back(wide_alphabets_of(Wide(run.data() + at, std::min(run.size() - at, kBlock), 0xff)));
}
#else
void add_wide_masks(std::string_view, RunMasks&) {}
#endif

Alphabets alphabets_of(const uint8_t* bytes) {
  Block block = load_block(bytes);
  uint64_t digits = mask_of(block, [](const Lanes& c) { return within(c, '2', 6); });
  uint64_t capitals = mask_of(block, [](const Lanes& c) { return within(c, 'A', 26); });
  uint64_t small = mask_of(block, [](const Lanes& c) { return within(c, 'a', 26); });
  return {mask_of(block, [](const Lanes& c) { return within(c, '0', 10) | within(c | 32, 'a', 6); }),
          digits | capitals | small, digits | capitals, digits | small};
}

// Returns where the sequence of set bits that contains `at` ends.
size_t row_end(const RunMasks& masks, uint64_t Alphabets::* alphabet, size_t at) {
  while (at / kBlock < masks.size()) {
    size_t left = kBlock - at % kBlock;
    auto ones = static_cast<size_t>(std::countr_one(masks[at / kBlock].*alphabet >> at % kBlock));
    at += ones;
    if (ones < left) break;
  }
  return at;
}

// Calls each(begin, end) for each whole sequence of at least `shortest` set bits.
template <typename F>
void each_row(const RunMasks& masks, uint64_t Alphabets::* alphabet, size_t shortest, F each) {
  size_t done = 0;
  for (size_t i = 0; i < masks.size(); ++i) {
    uint64_t now = masks[i].*alphabet, next = i + 1 < masks.size() ? masks[i + 1].*alphabet : 0;
    uint64_t starts = may_have_row(now, next) ? rows(now, next, 16) : 0;
    size_t block = i * kBlock;
    for (;;) {
      if (done > block) starts &= done - block < kBlock ? ~uint64_t{0} << (done - block) : 0;
      if (!starts) break;
      size_t begin = block + static_cast<size_t>(std::countr_zero(starts));
      done = row_end(masks, alphabet, begin);
      if (done - begin >= shortest) each(begin, done);
    }
  }
}

#ifdef SCAN_HAS_WIDE
SCAN_WIDE bool wide_is_hex(std::string_view run) {
  for (size_t at = 0; at < run.size(); at += kBlock) {
    Wide c(run.data() + at, std::min(run.size() - at, kBlock), '0');
    if ((c.within('0', 10) | c.with(32).within('a', 6)) != ~uint64_t{0}) return false;
  }
  return true;
}
#endif

}  // namespace

bool is_hex(std::string_view run) {
#ifdef SCAN_HAS_WIDE
  if (use_wide) return wide_is_hex(run);
#endif
  return std::ranges::all_of(run, [](char c) { return hex_digit(static_cast<uint8_t>(c)) >= 0; });
}

void parts_of_run(std::string_view run, std::vector<RunPart>& parts) {
  constexpr size_t kShortestBase32 = 20, kOfOneCase = 64;
  parts.clear();
  static thread_local RunMasks masks;
  masks.clear();
  std::array<uint8_t, kBlock> copy;
  if (use_wide) add_wide_masks(run, masks);
  else
    for (size_t at = 0; at < run.size(); at += kBlock) masks.push_back(alphabets_of(padded<0>(run, at, copy)));
  each_row(masks, &Alphabets::hex, kShortestHex,
           [&](size_t begin, size_t end) { parts.push_back({begin, end, true}); });
  if (parts.size() == 1 && parts[0].end - parts[0].begin == run.size()) return;
  auto of_base32 = [&](size_t at) { return at < run.size() && (masks[at / kBlock].base32 >> at % kBlock & 1); };
  for (auto alphabet : {&Alphabets::capitals, &Alphabets::small}) {
    size_t done = 0;  // the last part ends here
    each_row(masks, alphabet, kShortestBase32, [&](size_t begin, size_t end) {
      // The case may change again and again within one part, which is decoded at each alignment.
      if (begin < done) return;
      if (end - begin < kOfOneCase && of_base32(end)) return;
      bool only_digits = run.substr(begin, std::min(end - begin, kOfOneCase)).find_first_not_of("234567") == run.npos;
      if (alphabet == &Alphabets::small && only_digits) return;  // these are capitals too
      done = row_end(masks, &Alphabets::base32, end);
      parts.push_back({begin, done, false});
    });
  }
}

}  // namespace bottle::scan
