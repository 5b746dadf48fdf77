// Computes the masks with which survey() recognizes what bytes may be: one bit for each of 64 bytes.
#pragma once

#include <string_view>

#include "scan/encoding/masks.h"
#include "scan/encoding/wide.h"

namespace bottle::scan {

inline constexpr size_t kBlock = 64;

// Each mask has one bit for each of 64 bytes, which says whether the byte is of this class.
struct Masks {
  uint64_t run, alnum, varied, hex, digit, words, special, high;
};

// These are the classes of bytes. joins() has the punctuation of Base64 and Base64url, and is_run() also has the
// letters and digits.
inline Lanes joins(const Lanes& c) { return equal(c, '+') | equal(c, '/') | equal(c, '-') | equal(c, '_'); }
inline Lanes is_run(const Lanes& c) { return within(c | 32, 'a', 26) | within(c, '0', 10) | joins(c); }

// Computes the masks of 64 bytes. wide_masks_of() does the same, and may be called only if use_wide is true.
inline void masks_of(const uint8_t* bytes, Masks* to) {
  Block block = load_block(bytes);
  to->digit = mask_of(block, [](const Lanes& c) { return within(c, '0', 10); });
  to->varied = to->digit | mask_of(block, [](const Lanes& c) { return within(c, 'A', 26); });
  to->alnum = to->varied | mask_of(block, [](const Lanes& c) { return within(c, 'a', 26); });
  to->run = to->alnum | mask_of(block, [](const Lanes& c) { return joins(c); });
  to->hex = to->digit | mask_of(block, [](const Lanes& c) { return within(c | 32, 'a', 6); });
  to->words = mask_of(block, [](const Lanes& c) { return within(c, 'a', 26) | equal(c, ' '); });
  to->special =
      mask_of(block, [](const Lanes& c) { return equal(c, 0) | equal(c, '%') | equal(c, '&') | equal(c, '\\'); });
  to->high = mask_of(block, [](const Lanes& c) { return within(c, 128, 128); });
}

#ifdef SCAN_HAS_WIDE
inline constexpr WideSet kJoins{"+/-_"}, kSpecial{std::string_view("\0%&\\", 4)};

// Does what masks_of() does, with AVX-512.
SCAN_WIDE inline void wide_masks_of(const uint8_t* bytes, Masks* to) {
  Wide c(bytes), small = c.with(32);
  to->digit = c.within('0', 10);
  to->varied = to->digit | c.within('A', 26);
  to->alnum = small.within('a', 26) | to->digit;
  to->run = to->alnum | c.in(kJoins);
  to->hex = to->digit | small.within('a', 6);
  to->words = c.within('a', 26) | c.equal(' ');
  to->special = c.in(kSpecial);
  to->high = c.high();
}
#endif

// Returns the positions among 64 bytes of the characters of a run.
inline uint64_t run_mask(const uint8_t* bytes) {
  return mask_of(load_block(bytes), [](const Lanes& c) { return is_run(c); });
}

// Returns the positions of one byte.
inline uint64_t where(const uint8_t* bytes, uint8_t byte) {
  return mask_of(load_block(bytes), [=](const Lanes& c) { return equal(c, byte); });
}

// Returns a bit for each position where `count` ones in a row begin. `count` is a power of two. The ones may end in
// the next mask.
[[gnu::always_inline]] inline uint64_t rows(uint64_t low, uint64_t high, unsigned count) {
  for (unsigned step = 1; step < count; step *= 2) {
    uint64_t next = low >> step | high << (64 - step);
    low &= next;
    high &= high >> step;
  }
  return low;
}

// Returns whether 16 ones in a row may begin in `low`. They always fill at least one whole byte of the masks, which
// is quick to check.
[[gnu::always_inline]] inline bool may_have_row(uint64_t low, uint64_t high) {
  constexpr uint64_t kLowest = 0x0101010101010101, kHighest = kLowest << 7;
  uint64_t gaps = ~low;
  return ((gaps - kLowest) & ~gaps & kHighest) != 0 || (high & 0xff) == 0xff;
}

// Returns the positions where two ones are followed by a zero.
[[gnu::always_inline]] inline uint64_t pair_ends(uint64_t low, uint64_t high) {
  return low & (low >> 1 | high << 63) & ~(low >> 2 | high << 62);
}

// Returns the positions of digits and of at most three bytes after a digit.
inline uint64_t near_digits(uint64_t digits, uint64_t before) {
  return digits | digits << 1 | digits << 2 | digits << 3 | before >> 63 | before >> 62 | before >> 61;
}

// Says where readable numbers may be in a block.
struct NumberMasks {
  uint64_t row = 0;     // all positions except the first digits of unreadable numbers
  uint64_t packed = 0;  // where numbers begin that may be the first byte of compressed ones
};
// The length of twelve numbers of one digit, with one byte between each two of them.
inline constexpr size_t kShortestNumbers = 23;

// Returns the masks of the block whose digits are given, and those of the blocks before and after it. Numbers that end
// after the block count as readable if `next` is not known (0).
inline NumberMasks number_masks(const uint8_t* bytes, uint64_t before, uint64_t digits, uint64_t next) {
  Block block = load_block(bytes);
  uint64_t first = digits & ~(digits << 1 | before >> 63);
  uint64_t second = digits >> 1 | next << 63, third = digits >> 2 | next << 62;
  auto is = [&](uint8_t from, uint8_t count) {
    return mask_of(block, [=](const Lanes& c) { return within(c, from, count); });
  };
  // Of the numbers with one digit, only 0 (a zero byte) and 9 (a tab) are readable. None from 20 to 29 or from 200 on
  // is.
  uint64_t nines = is('9', 1), single = first & ~second & ~(nines | is('0', 1)) & ~(uint64_t{1} << 63);
  uint64_t twenties = first & second & is('2', 1), large = first & second & third & is('3', 7);
  auto exactly = [&](uint64_t begins, char tens, char ones) {
    return begins & is(static_cast<uint8_t>(tens), 1) & (is(static_cast<uint8_t>(ones), 1) >> 1 | uint64_t{1} << 63);
  };
  // Without `next`, it is not known where the last numbers end.
  uint64_t several = first & (second | uint64_t{1} << 63), two = several & ~third;
  uint64_t three = several & (third | uint64_t{3} << 62);
  uint64_t packed = exactly(two, '3', '1') | exactly(two, '4', '0') | exactly(two, '8', '0') | exactly(three, '1', '2');
  return {~(single | twenties | large), packed};
}

#ifdef SCAN_HAS_WIDE
// Returns the offset of the first block of 64 bytes whose packed_mask() is not 0, or of the first one from `size` on.
SCAN_WIDE inline size_t wide_packed_block(const uint8_t* bytes, size_t size) {
  size_t at = 0;
  for (; at < size; at += kBlock) {
    Wide c(bytes + at), n(bytes + at + 1);
    uint64_t gzip = c.equal(0x1f) & n.equal(0x8b), zstd = c.equal(0x28) & n.equal(0xb5);
    uint64_t zlib = c.equal(0x78) & (n.equal(0x01) | n.equal(0x5e) | n.equal(0x9c) | n.equal(0xda));
    if (gzip | zstd | zlib) break;
  }
  return at;
}
#else
inline size_t wide_packed_block(const uint8_t*, size_t) { return 0; }
#endif

// Returns whether at least fifteen digits are at `at`, with at most one space or dash between two of them. A number in
// a list of numbers is not a card number.
inline bool may_begin_card(std::string_view text, size_t at) {
  constexpr size_t kFewest = 15;
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{1}; };
  auto is_digit = [&](size_t i) { return within(byte(i), '0', 10); };
  if (!within(byte(at), '2', 5) || (at > 1 && byte(at - 1) == ' ' && is_digit(at - 2))) return false;
  for (size_t count = 1; count < kFewest; ++count) {
    ++at;
    if (byte(at) == ' ' || byte(at) == '-') ++at;
    if (!is_digit(at)) return false;
  }
  return true;
}

}  // namespace bottle::scan
