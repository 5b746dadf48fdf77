// Computes the masks with which survey() recognizes what bytes may be: one bit for each of 64 bytes.
#pragma once

#include <array>
#include <cstring>
#include <string_view>

#include "scan/encoding/simd/masks.h"
#include "scan/encoding/simd/wide.h"

namespace bottle::scan {

inline constexpr size_t kBlock = 64;

// Returns kBlock + `more` bytes from `at` on: in the text itself, or in `copy`, with bytes after the end of the text
// that belong to nothing.
template <size_t more>
const uint8_t* padded(std::string_view text, size_t at, std::array<uint8_t, kBlock + more>& copy) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  if (at + copy.size() <= text.size()) return bytes + at;
  copy.fill(0xff);
  if (at < text.size()) std::memcpy(copy.data(), bytes + at, text.size() - at);
  return copy.data();
}

// Gives access to a text in blocks, as if bytes of no class followed it. The text must outlive it.
class PaddedText {
 public:
  explicit PaddedText(std::string_view text) : text_(text) {}
  std::string_view text() const { return text_; }
  size_t size() const { return text_.size(); }
  uint8_t byte(size_t at) const { return at < text_.size() ? static_cast<uint8_t>(text_[at]) : kNoClass; }
  // Returns kBlock bytes from `at` on and the byte after them: in the text itself, or in a copy of its end, which is
  // valid until the next call.
  const uint8_t* block(size_t at) {
    if (at + kBlock < text_.size()) return reinterpret_cast<const uint8_t*>(text_.data()) + at;
    rest_.fill(kNoClass);
    if (at < text_.size()) std::memcpy(rest_.data(), text_.data() + at, text_.size() - at);
    return rest_.data();
  }

 private:
  static constexpr uint8_t kNoClass = 1;
  std::string_view text_;
  std::array<uint8_t, kBlock + 1> rest_{};
};

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
