// Decoding every text that looks encoded would take most of a scan's time. This file therefore answers a cheaper
// question: can the decoded bytes contain twelve readable bytes in a row, or the magic number of a compressed format?
// It works on blocks of 64 bytes (wide.h) and represents each property of their bytes as a mask of 64 bits, in which
// a sequence of set bits is found with a few shifts. Sequences may cross the border between blocks, so each block is
// joined with the one before it.
//
// The answer may be yes for text that hides nothing, which costs one decoding, but never no for text that a decoder
// would make readable. The tests compare it with the decoders.
#include "scan/encoding/peek.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "scan/encoding/decode.h"
#include "scan/encoding/number_rows.h"
#include "scan/encoding/simd/survey_masks.h"

namespace bottle::scan {
namespace {

constexpr size_t kShortestText = 12;

Lanes readable(const Lanes& c) {
  return within(c, 0x20, 0x5f) | equal(c, 0) | equal(c, '\n') | equal(c, '\t') | equal(c, '\r');
}
constexpr bool is_readable(unsigned c) {
  return (c >= 0x20 && c <= 0x7e) || c == 0 || c == '\n' || c == '\t' || c == '\r';
}

// Returns where `kShortestText` bits with `stride` between each two of them begin in `before`. The last ones may be in
// `now`.
uint64_t text_rows(uint64_t before, uint64_t now, unsigned stride) {
  // There are twelve in a row where eight begin and another eight begin four bits later.
  for (unsigned step : {1u, 2u, 4u, 4u}) {
    unsigned bits = step * stride;
    before &= before >> bits | now << (kBlock - bits);
    now &= now >> bits;
  }
  return before;
}

bool packs(uint8_t first, uint8_t second) {
  switch (first) {
    case 0x1f:
      return second == 0x8b;
    case 0x28:
      return second == 0xb5;
    case 0x78:
      return packs_zlib(second);
    default:
      return first == 'P' && second == 'K';
  }
}

// Finds sequences of readable bytes, which may cross from one block to the next.
class Rows {
 public:
  // Returns whether a sequence begins in the block before this one. Numbers with many zeros are not text: even in
  // UTF-32, three of twelve bytes are not zero.
  bool add(uint64_t readable, uint64_t zeros) {
    constexpr int kFewest = 3;
    constexpr uint64_t kRow = (uint64_t{1} << kShortestText) - 1;
    uint64_t rows = text_rows(readable_, readable, 1), letters = readable & ~zeros;
    bool found = false;
    for (; rows && !found; rows &= rows - 1) {
      auto at = static_cast<unsigned>(std::countr_zero(rows));
      uint64_t row = letters_ >> at | (at > 0 ? letters << (kBlock - at) : 0);
      found = std::popcount(row & kRow) >= kFewest;
    }
    readable_ = readable;
    letters_ = letters;
    return found;
  }
  bool end() { return add(0, 0); }

 private:
  uint64_t readable_ = 0, letters_ = 0;  // `letters_`: those that are not zero
};

#ifdef SCAN_HAS_WIDE
constexpr WideSet kWideReadable{
    std::string_view("\0\t\n\r", 4),
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"};

// Does what hides() does.
template <unsigned skip>
SCAN_WIDE bool wide_hides(std::string_view bytes) {
  Rows rows;
  for (size_t at = 0; at < bytes.size(); at += kBlock) {
    constexpr uint8_t kNothing = 0xff;
    const char* here = bytes.data() + at;
    size_t left = bytes.size() - at;
    auto bytes_after = [&](size_t more) SCAN_WIDE {
      return Wide(here + more, left > more ? std::min(left - more, kBlock) : 0, kNothing);
    };
    Wide c = bytes_after(0), second = bytes_after(1);
    if constexpr (skip > 0) {
      c = c.shifted(second, skip);
      second = second.shifted(bytes_after(2), skip);
    }
    uint64_t whole = Wide::first_bits(std::min(left, kBlock));
    uint64_t zlib = second.equal(0x01) | second.equal(0x5e) | second.equal(0x9c) | second.equal(0xda);
    uint64_t packed = (c.equal(0x1f) & second.equal(0x8b)) | (c.equal(0x28) & second.equal(0xb5)) |
                      (c.equal(0x78) & zlib) | (c.equal('P') & second.equal('K'));
    if ((packed & whole) || rows.add(c.in(kWideReadable)&whole, c.equal(0) & whole)) return true;
  }
  return rows.end();
}
#endif

// Returns whether the bytes with `skip` bits skipped may hide something.
template <unsigned skip>
bool hides(std::string_view bytes) {
#ifdef SCAN_HAS_WIDE
  if (use_wide) return wide_hides<skip>(bytes);
#endif
  Rows rows;
  std::array<uint8_t, kBlock + 2> copy;
  for (size_t at = 0; at < bytes.size(); at += kBlock) {
    const uint8_t* here = padded<2>(bytes, at, copy);
    size_t left = std::min(bytes.size() - at, kBlock);
    uint64_t row = 0, zeros = 0, packed = 0;
    for (size_t i = 0; i < left; i += sizeof(Lanes)) {
      Lanes c;
      std::memcpy(&c, here + i, sizeof c);
      if constexpr (skip > 0) {
        Lanes next;
        std::memcpy(&next, here + i + 1, sizeof next);
        c = c << skip | next >> (8 - skip);
      }
      row |= bits_of(readable(c)) << i;
      zeros |= bits_of(equal(c, 0)) << i;
      packed |= bits_of(equal(c, 0x1f) | equal(c, 0x28) | equal(c, 0x78) | equal(c, 'P')) << i;
    }
    uint64_t whole = ~uint64_t{0} >> (kBlock - left);
    if (rows.add(row & whole, zeros)) return true;
    auto byte = [&](size_t i) {
      return static_cast<uint8_t>(skip ? here[i] << skip | here[i + 1] >> (8 - skip) : here[i]);
    };
    for (packed &= whole; packed; packed &= packed - 1) {
      auto i = static_cast<size_t>(std::countr_zero(packed));
      if (packs(byte(i), byte(i + 1))) return true;
    }
  }
  return rows.end();
}

// Holds the results for a block of hexadecimal digits. It is unknown where the pairs of digits begin, so every digit
// may be the first one of a byte.
struct HexMasks {
  uint64_t readable = 0;  // the digit may be the first one of a readable byte
  uint64_t packed = 0;    // a magic number begins with the digit
};
#ifdef SCAN_HAS_WIDE
SCAN_WIDE HexMasks wide_hex_masks(const uint8_t* digits) {
  const Wide c[] = {Wide(digits).with(32), Wide(digits + 1).with(32), Wide(digits + 2).with(32),
                    Wide(digits + 3).with(32)};
  auto are = [&](size_t k, uint8_t first, uint8_t second)
                 SCAN_WIDE { return c[k].equal(first) & c[k + 1].equal(second); };
  HexMasks masks{.readable = c[0].within('2', 6) | c[0].equal('0')};
  if (uint64_t gzip = are(0, '1', 'f')) masks.packed |= gzip & are(2, '8', 'b');
  if (uint64_t zstd = are(0, '2', '8')) masks.packed |= zstd & are(2, 'b', '5');
  if (uint64_t zip = are(0, '5', '0')) masks.packed |= zip & are(2, '4', 'b');
  if (uint64_t zlib = are(0, '7', '8'))
    masks.packed |= zlib & (are(2, '0', '1') | are(2, '5', 'e') | are(2, '9', 'c') | are(2, 'd', 'a'));
  return masks;
}
#endif

HexMasks hex_masks(const uint8_t* digits) {
#ifdef SCAN_HAS_WIDE
  if (use_wide) return wide_hex_masks(digits);
#endif
  HexMasks masks;
  for (size_t i = 0; i < kBlock; i += sizeof(Lanes)) {
    std::array<Lanes, 4> c;
    for (size_t k = 0; k < 4; ++k) {
      std::memcpy(&c[k], digits + i + k, sizeof c[k]);
      c[k] |= 32;  // in lower case
    }
    auto are = [&](size_t k, uint8_t first, uint8_t second) { return equal(c[k], first) & equal(c[k + 1], second); };
    Lanes gzip = are(0, '1', 'f') & are(2, '8', 'b'), zstd = are(0, '2', '8') & are(2, 'b', '5');
    Lanes zlib = are(0, '7', '8') & (are(2, '0', '1') | are(2, '5', 'e') | are(2, '9', 'c') | are(2, 'd', 'a'));
    masks.readable |= bits_of(within(c[0], '2', 6) | equal(c[0], '0')) << i;
    Lanes zip = are(0, '5', '0') & are(2, '4', 'b');
    masks.packed |= bits_of(gzip | zstd | zlib | zip) << i;
  }
  return masks;
}

// Classes of the numbers in a list of decimal numbers, each of which stands for a byte. From kGzip on, it is the first
// byte of a magic number.
enum : uint8_t { kReadable = 1, kZero = 2, kGzip = 4, kZstd = 8, kZlib = 16, kZip = 32 };
struct NumberKind {
  uint8_t is = 0, ends = 0;  // `ends` has the magic numbers whose second byte this number may be
};
constexpr auto kNumbers = [] {
  std::array<NumberKind, 1000> kinds{};
  for (unsigned i = 0; i < 256; ++i) kinds[i].is = is_readable(i) ? kReadable : 0;
  kinds[0].is = kReadable | kZero;
  kinds[0x1f].is |= kGzip, kinds[0x28].is |= kZstd, kinds[0x78].is |= kZlib;
  kinds[0x8b].ends = kGzip, kinds[0xb5].ends = kZstd;
  kinds['P'].is |= kZip, kinds['K'].ends = kZip;
  for (unsigned second : {0x01, 0x5e, 0x9c, 0xda}) kinds[second].ends = kZlib;
  return kinds;
}();

// Counts how many numbers in a row are readable.
class Numbers {
 public:
  // Adds the digits [at, end), which other bytes surround. Returns whether something may be hidden.
  bool add(std::string_view text, size_t at, size_t end) {
    constexpr size_t kMost = 3;  // digits of a number
    for (; at < end; at += kMost)
      if (add(value(text, at, std::min(end - at, kMost)))) return true;
    return false;
  }

 private:
  // This does not branch on the number of digits, because the processor could not predict the branch.
  static size_t value(std::string_view text, size_t at, size_t digits) {
    uint32_t bytes = 0;
    if (at + sizeof bytes > text.size()) [[unlikely]] {
      for (size_t i = 0; i < digits; ++i) bytes = bytes * 10 + static_cast<uint32_t>(text[at + i] - '0');
      return bytes;
    }
    for (size_t i = 0; i < sizeof bytes; ++i) bytes |= uint32_t{static_cast<uint8_t>(text[at + i])} << 8 * i;
    bytes = (bytes & 0x0f0f0f0f) << 8 * (sizeof bytes - digits);
    return (bytes >> 8 & 15) * 100 + (bytes >> 16 & 15) * 10 + (bytes >> 24);
  }

  bool add(size_t number) {
    auto [is, ends] = kNumbers[number];
    bool packed = (before_ & ends) != 0;
    before_ = is;
    readable_ = is & kReadable ? readable_ + 1 : 0;
    zeros_ = is & kZero ? zeros_ + 1 : 0;
    return packed || (readable_ >= kShortestText && zeros_ < kShortestText);
  }

  uint8_t before_ = 0;
  size_t readable_ = 0, zeros_ = 0;
};

bool is_digit(char c) { return within(static_cast<uint8_t>(c), '0', 10); }

// Looks at a list of numbers in blocks, one after the other.
class DecimalBlocks {
 public:
  explicit DecimalBlocks(std::string_view text) : text_(text) { next_ = masks(0, 0, digits_at(0)); }
  void go_to(size_t at) {
    before_ = std::exchange(now_, std::exchange(next_, masks(at + kBlock, next_.digits, after_)));
    at_ = at;
  }
  uint64_t digits() const { return now_.digits; }
  // Returns whether a number of the block may be one of twelve readable numbers in a row.
  bool may_be_readable() const { return has_long_row(before_.row, now_.row) || has_long_row(now_.row, next_.row); }
  // Returns whether two numbers of which the first begins in the block are a magic number.
  bool begins_packed() const {
    constexpr size_t kMost = 3;  // digits of a number
    for (uint64_t mask = now_.packed; mask; mask &= mask - 1)
      if (numbers_begin_packed(text_, at_ + static_cast<size_t>(std::countr_zero(mask)))) return true;
    // Several numbers may stand in one row of digits.
    uint64_t low = now_.digits, high = next_.digits, four = low & (low >> 1 | high << 63);
    four &= (low >> 2 | high << 62) & (low >> 3 | high << 61) & ~(low << 1 | before_.digits >> 63);
    for (; four; four &= four - 1)
      for (size_t at = at_ + static_cast<size_t>(std::countr_zero(four)) + kMost;
           at < text_.size() && is_digit(text_[at]) && is_digit(text_[at - 1]) && is_digit(text_[at - 2]); at += kMost)
        if (numbers_begin_packed(text_, at)) return true;
    return false;
  }

 private:
  struct Each {
    uint64_t digits = 0, row = 0, packed = 0;
  };
  uint64_t digits_at(size_t at) {
    return mask_of(load_block(padded<0>(text_, at, copy_)), [](const Lanes& c) { return within(c, '0', 10); });
  }
  // Returns the masks of the block at `at`. Reads the digits of the block after it.
  Each masks(size_t at, uint64_t before, uint64_t digits) {
    after_ = digits_at(at + kBlock);
    NumberMasks masks = number_masks(padded<0>(text_, at, copy_), before, digits, after_);
    return {digits, near_digits(digits, before) & masks.row, masks.packed};
  }

  std::string_view text_;
  size_t at_ = 0;
  Each before_, now_, next_;
  uint64_t after_ = 0;  // the digits of the block after the next one
  std::array<uint8_t, kBlock> copy_{};
};

bool has_row(Rows& rows, const Block& block) {
  return rows.add(mask_of(block, readable), mask_of(block, [](const Lanes& c) { return equal(c, 0); }));
}

}  // namespace

bool has_text(std::string_view bytes) {
  if (bytes.size() < kShortestText) return false;
  Rows rows;
  std::array<uint8_t, kBlock> copy;
  for (size_t at = 0; at < bytes.size(); at += kBlock) {
    if (has_row(rows, load_block(padded<0>(bytes, at, copy)))) return true;
  }
  return rows.end();
}

std::vector<Region> readable_parts(std::string_view bytes) {
  constexpr size_t kMargin = 3 * kBlock;
  std::vector<Region> parts;
  Rows rows;
  std::array<uint8_t, kBlock> copy;
  for (size_t at = 0; at < bytes.size() + kBlock; at += kBlock) {
    if (!has_row(rows, load_block(padded<0>(bytes, at, copy)))) continue;
    size_t begin = at - std::min(at, kBlock + kMargin), end = std::min(at + kMargin, bytes.size());
    if (parts.empty() || begin > parts.back().end) parts.push_back({begin, end});
    parts.back().end = end;
  }
  return parts;
}

namespace {

#ifdef SCAN_HAS_WIDE
// Does what decoded_run() does.
SCAN_WIDE bool wide_decoded_run(std::string_view run, char* to) {
  for (size_t at = 0; at < run.size(); at += kBlock, to += kBlock / 4 * 3) {
    size_t count = std::min(run.size() - at, kBlock);
    if (Wide(run.data() + at, count, 'A').decode_base64(to) != ~uint64_t{0}) return false;
  }
  return true;
}
#endif

// Decodes a run of at most kPeekedRun characters to run.size() * 3 / 4 bytes, with room for as many as the run has.
// Returns false if it has others than digits.
bool decoded_run(std::string_view run, char* to) {
#ifdef SCAN_HAS_WIDE
  if (use_wide) return wide_decoded_run(run, to);
#endif
  size_t size = 0, at = 0;
  int valid = 0;
  auto digit = [&](size_t i) {
    int value = base64_digit(run[i]);
    valid |= value;
    return static_cast<uint32_t>(value);
  };
  for (; at + 4 <= run.size(); at += 4) {
    uint32_t all = digit(at) << 18 | digit(at + 1) << 12 | digit(at + 2) << 6 | digit(at + 3);
    to[size++] = static_cast<char>(all >> 16);
    to[size++] = static_cast<char>(all >> 8);
    to[size++] = static_cast<char>(all);
  }
  uint32_t bits = 0, left = static_cast<uint32_t>(run.size() - at);
  for (uint32_t i = 0; i < left; ++i) bits = bits << 6 | digit(at + i);
  bits <<= 6 * (4 - left) % 24;
  for (uint32_t i = 0; i + 1 < left; ++i) to[size++] = static_cast<char>(bits >> (16 - 8 * i));
  return valid >= 0;
}

}  // namespace

std::optional<Peek> peek_base64(std::string_view run) {
  constexpr size_t kFewest = 12;
  if (run.size() > kPeekedRun || run.size() < kFewest) return {};
  std::array<char, kPeekedRun> bytes;
  if (!decoded_run(run, bytes.data())) return {};
  std::string_view decoded(bytes.data(), run.size() * 3 / 4);
  Peek peek{.size = decoded.size()};
  std::memcpy(peek.first, bytes.data(), sizeof peek.first);
  peek.hides = unsigned{hides<0>(decoded)} | unsigned{hides<2>(decoded)} << 2 | unsigned{hides<4>(decoded)} << 4 |
               unsigned{hides<6>(decoded)} << 6;
  return peek;
}

std::optional<Peek> peek_base64_parts(std::string_view run) {
  constexpr size_t kFewest = 12;
  if (run.size() > kPeekedRun || run.size() < kFewest) return {};
  std::array<char, kPeekedRun> bytes, shifted;
  size_t size = 0, digits = 0, first = SIZE_MAX;  // `first`: the number of digits before the first padding
  uint32_t bits = 0, rest = 0;                    // `rest`: trailing bits that do not fill a byte
  unsigned count = 0;
  auto end_first = [&] {
    if (first != SIZE_MAX) return;
    first = digits;
    rest = bits << (8 - count) & 0xff;
  };
  for (size_t at = 0; at < run.size(); ++at) {
    int digit = base64_digit(run[at]);
    if (digit < 0) {
      if (run[at] == '=') end_first(), count = 0;
      if (run[at] == '\\')
        while (at + 1 < run.size() && run[at] == '\\') ++at;
      continue;
    }
    ++digits;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) bytes[size++] = static_cast<char>(bits >> (count -= 8));
  }
  end_first();
  Peek peek{.size = size};
  if (size < sizeof peek.first) return {};
  std::memcpy(peek.first, bytes.data(), sizeof peek.first);
  peek.hides = hides<0>({bytes.data(), size});
  // Only the text before the first padding has other alignments.
  size_t before = first * 6 / 8;
  for (unsigned skip = 2; skip < 8; skip += 2) {
    size_t length = first > 0 ? (first * 6 - skip) / 8 : 0;
    for (size_t i = 0; i < length; ++i) {
      uint32_t next = i + 1 < before ? static_cast<uint8_t>(bytes[i + 1]) : rest;
      shifted[i] = static_cast<char>(static_cast<uint8_t>(bytes[i]) << skip | next >> (8 - skip));
    }
    std::copy(bytes.begin() + before, bytes.begin() + size, shifted.begin() + length);
    peek.hides |= unsigned{hides<0>({shifted.data(), length + size - before})} << skip;
  }
  return peek;
}

bool hides_when_shifted(std::string_view aligned, unsigned bits) {
  // With constants, the compiler makes simple shifts of these.
  switch (bits) {
    case 1:
      return hides<1>(aligned);
    case 2:
      return hides<2>(aligned);
    case 3:
      return hides<3>(aligned);
    case 4:
      return hides<4>(aligned);
    case 5:
      return hides<5>(aligned);
    case 6:
      return hides<6>(aligned);
    default:
      return hides<7>(aligned);
  }
}

bool hex_hides(std::string_view digits) {
  constexpr size_t kPair = 2;
  std::array<uint8_t, kBlock + 3> copy;
  uint64_t before = 0;
  for (size_t at = 0; at < digits.size(); at += kBlock) {
    HexMasks masks = hex_masks(padded<3>(digits, at, copy));
    if (masks.packed || text_rows(before, masks.readable, kPair)) return true;
    before = masks.readable;
  }
  return text_rows(before, 0, kPair) != 0;
}

bool decimals_hide(std::string_view text) {
  // Few blocks of a list of other numbers can be a part of a readable row. Only in these, the numbers are read.
  DecimalBlocks blocks(text);
  Numbers numbers;
  size_t done = 0;  // the bytes before it have been counted
  for (size_t at = 0; at < text.size(); at += kBlock) {
    blocks.go_to(at);
    if (blocks.begins_packed()) return true;
    if (!blocks.may_be_readable()) {
      numbers = {};
      continue;
    }
    uint64_t digits = blocks.digits();
    if (done > at) digits = done - at < kBlock ? digits & ~uint64_t{0} << (done - at) : 0;
    while (digits) {
      auto first = static_cast<size_t>(std::countr_zero(digits));
      size_t begin = at + first, end = begin + static_cast<size_t>(std::countr_one(digits >> first));
      digits &= digits + (uint64_t{1} << first);  // without the row of ones that begins there
      if (end >= at + kBlock)
        while (end < text.size() && is_digit(text[end])) ++end;
      if (first == 0)  // the number may begin in a block that was not read
        while (begin > done && is_digit(text[begin - 1])) --begin;
      done = end;
      if (numbers.add(text, begin, end)) return true;
    }
  }
  return false;
}

}  // namespace bottle::scan
