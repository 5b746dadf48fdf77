// Finds lists of decimal numbers, such as the bytes of a text in an array, for survey(). Pure.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "scan/encoding/simd/survey_masks.h"

namespace bottle::scan {

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
inline constexpr size_t kWidestGap = 3;  // bytes between two numbers of a list

// Returns the masks of the block whose digits are given, and those of the blocks before and after it. Numbers that end
// after the block count as readable if `next` is not known (0).
inline NumberMasks number_masks(const uint8_t* bytes, uint64_t before, uint64_t digits, uint64_t next) {
  Block block = load_block(bytes);
  uint64_t first = digits & ~(digits << 1 | before >> 63);
  uint64_t second = digits >> 1 | next << 63, third = digits >> 2 | next << 62;
  auto is = [&](uint8_t from, uint8_t count) {
    return mask_of(block, [=](const Lanes& c) { return within(c, from, count); });
  };
  // Of the numbers with one digit, only 0 (a zero byte) and 9 (a tab) are readable, and of those from 11 to 29, only 13
  // (a line end). None from 130 on is.
  uint64_t nines = is('9', 1), single = first & ~second & ~(nines | is('0', 1)) & ~(uint64_t{1} << 63);
  uint64_t twenties = first & second & is('2', 1), large = first & second & third & is('3', 7);
  auto exactly = [&](uint64_t begins, char tens, char ones) {
    return begins & is(static_cast<uint8_t>(tens), 1) & (is(static_cast<uint8_t>(ones), 1) >> 1 | uint64_t{1} << 63);
  };
  // Without `next`, it is not known where the last numbers end.
  uint64_t several = first & (second | uint64_t{1} << 63), two = several & ~third;
  uint64_t three = several & (third | uint64_t{3} << 62);
  uint64_t teens = two & is('1', 1) & ~(is('0', 1) >> 1 | is('3', 1) >> 1) & ~(uint64_t{3} << 62);
  uint64_t hundreds = first & second & third & is('1', 1) & is('3', 7) >> 1;
  uint64_t packed = exactly(two, '3', '1') | exactly(two, '4', '0') | exactly(two, '8', '0') | exactly(three, '1', '2');
  return {~(single | teens | twenties | hundreds | large), packed};
}

// Returns whether a row of twelve readable numbers may begin in the first of two blocks, of which these are the
// positions near digits without those of unreadable numbers.
inline bool has_long_row(uint64_t low, uint64_t high) {
  static_assert(kShortestNumbers == 23);
  uint64_t eight = rows(low, high, 8), eight_after = rows(high, 0, 8);
  return (eight & (eight >> 8 | eight_after << 56) & (eight >> 15 | eight_after << 49)) != 0;
}

// Returns whether the numbers from `at` on may be the first bytes of a gzip, zstd or zlib stream, or of a zip file.
inline bool numbers_begin_packed(std::string_view text, size_t at) {
  auto is_digit = [&](size_t i) { return i < text.size() && within(static_cast<uint8_t>(text[i]), '0', 10); };
  auto number = [&] {
    unsigned value = 0;
    for (size_t i = 0; i < 3 && is_digit(at); ++i) value = value * 10 + static_cast<unsigned>(text[at++] - '0');
    return value;
  };
  unsigned first = number();
  if (first != 0x1f && first != 0x28 && first != 0x78 && first != 'P') return false;
  for (size_t gap = 0; gap < kWidestGap && !is_digit(at); ++gap) ++at;
  unsigned second = number();
  return (first == 0x1f && second == 0x8b) || (first == 0x28 && second == 0xb5) || (first == 'P' && second == 'K') ||
         (first == 0x78 && packs_zlib(static_cast<uint8_t>(second)));
}

// Finds sequences of numbers with one to three other bytes between them. The blocks of a text must come in order.
class NumberRows {
 public:
  // With `all`, finds all lists. Otherwise, finds only those that may be text or compressed. The text must outlive it.
  NumberRows(PaddedText& text, bool all) : text_(text), all_(all) {}
  // Returns whether the block at `at` may have a digit of twelve readable numbers in a row, or of two numbers that
  // begin compressed bytes.
  bool has_row(size_t at, uint64_t digits, uint64_t next) {
    uint64_t before = 0;
    if (at >= kBlock)
      before = mask_of(load_block(text_.block(at - kBlock)), [](const Lanes& c) { return within(c, '0', 10); });
    uint64_t near_before = near_digits(before, 0), near = near_digits(digits, before);
    uint64_t near_after = near_digits(next, digits);
    if (!has_long_row(near_before, near) && !has_long_row(near, near_after)) return false;
    if (all_) return true;
    if (numbers_at_ != at) numbers_ = number_masks(text_.block(at), before, digits, next);
    NumberMasks after = number_masks(text_.block(at + kBlock), digits, next, 0);
    bool found = false;
    if (numbers_before_at_ + kBlock == at) near_before &= numbers_before_.row;
    else if (before) found = packs(at - kBlock, number_masks(text_.block(at - kBlock), 0, before, digits).packed);
    found = found || packs(at, numbers_.packed) || packs(at + kBlock, after.packed) ||
            has_long_row(near_before, near & numbers_.row) || has_long_row(near & numbers_.row, near_after & after.row);
    numbers_before_ = numbers_, numbers_before_at_ = at;
    numbers_ = after, numbers_at_ = at + kBlock;
    return found;
  }

  // Calls found(begin, end) for each sequence in the block at `block`. A sequence may begin before the block, and other
  // text may precede it in the block. No byte belongs to two of them.
  template <typename F>
  void each(size_t block, F found) {
    constexpr size_t kFarthest = 64, kShortest = 24;
    if (block < end_) return;
    auto is_digit = [&](size_t i) { return within(text_.byte(i), '0', 10); };
    size_t begin = block, first = std::max(end_, block - std::min(block, kFarthest));
    for (size_t gap = 0; begin > first && gap <= kWidestGap; --begin) gap = is_digit(begin - 1) ? 0 : gap + 1;
    for (size_t limit = std::min(block + kBlock, text_.size()); begin < limit;) {
      size_t end = row_of_numbers_end(begin);
      if (end >= begin + kShortest) found(begin, end);
      end_ = begin = std::min(end + kWidestGap + 1, text_.size());
      while (begin < limit && !is_digit(begin)) ++begin;
    }
  }

 private:
  bool packs(size_t block, uint64_t mask) const {
    for (; mask; mask &= mask - 1)
      if (numbers_begin_packed(text_.text(), block + static_cast<size_t>(std::countr_zero(mask)))) return true;
    return false;
  }

  // Returns where a gap begins after `at` that is too wide to belong to the sequence of numbers.
  size_t row_of_numbers_end(size_t at) {
    static_assert(kWidestGap == 3);
    for (; at < text_.size(); at += kBlock - kWidestGap) {
      uint64_t gaps = ~mask_of(load_block(text_.block(at)), [](const Lanes& c) { return within(c, '0', 10); });
      gaps &= gaps >> 1;
      gaps &= gaps >> 2;
      if (gaps) return std::min(at + static_cast<size_t>(std::countr_zero(gaps)), text_.size());
    }
    return text_.size();
  }

  PaddedText& text_;
  bool all_;
  size_t end_ = 0;  // of the last sequence
  NumberMasks numbers_, numbers_before_;
  size_t numbers_at_ = SIZE_MAX, numbers_before_at_ = SIZE_MAX / 2;
};

}  // namespace bottle::scan
