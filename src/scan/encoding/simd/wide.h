// Compares 64 bytes with one instruction, for the loops that see every byte of every message. This needs a processor
// with AVX-512. All others use masks.h, which gives the same results.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#if defined(__x86_64__)
#define SCAN_HAS_WIDE 1
#include <immintrin.h>
// Marks a function that may run only if use_wide is true.
#define SCAN_WIDE __attribute__((target("avx512f,avx512bw,popcnt,bmi,bmi2,lzcnt")))
#endif

namespace bottle::scan {

#ifdef SCAN_HAS_WIDE

// True if this processor has AVX-512. Tests turn it off to compare the results.
inline bool use_wide = [] {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi2");
}();

// Holds a set of ASCII characters: an array, indexed by the lower four bits of a character, with one bit for each
// value of its upper bits.
struct WideSet {
  std::array<uint8_t, 16> rows{};
  // `parts` must contain only ASCII characters.
  constexpr explicit WideSet(std::initializer_list<std::string_view> parts) {
    for (std::string_view part : parts)
      for (char c : part) rows[c & 15] = static_cast<uint8_t>(rows[c & 15] | 1 << (c >> 4));
  }
};

// Holds 64 bytes of a text. Each comparison returns one bit per byte.
class Wide {
 public:
  // Loads 64 bytes from any address.
  SCAN_WIDE explicit Wide(const void* bytes) : bytes_(_mm512_loadu_si512(bytes)) {}
  // Loads only the first `count` bytes (at most 64). The others are `rest`.
  SCAN_WIDE Wide(const void* bytes, size_t count, uint8_t rest)
      : bytes_(_mm512_mask_loadu_epi8(all(rest), first_bits(count), bytes)) {}
  // Returns a mask of the first `count` bits (at most 64).
  SCAN_WIDE static uint64_t first_bits(size_t count) { return _bzhi_u64(~uint64_t{0}, static_cast<unsigned>(count)); }
  // Returns the bytes that begin `bits` bits (1 to 7) later. `next` are the bytes that begin one byte later.
  SCAN_WIDE Wide shifted(const Wide& next, unsigned bits) const {
    __m512i high = _mm512_and_si512(_mm512_slli_epi16(bytes_, bits), all(static_cast<uint8_t>(0xff << bits)));
    __m512i low =
        _mm512_and_si512(_mm512_srli_epi16(next.bytes_, 8 - bits), all(static_cast<uint8_t>(0xff >> (8 - bits))));
    return Wide(_mm512_or_si512(high, low));
  }
  // Writes what the digits of Base64 and Base64url decode to, 48 bytes, of the 64 that it overwrites. Returns the bytes
  // that are digits; the others count as 0.
  SCAN_WIDE uint64_t decode_base64(char* to) const {
    uint64_t capital = within('A', 26), small = within('a', 26), digit = within('0', 10);
    uint64_t plus = equal('+') | equal('-'), slash = equal('/') | equal('_');
    __m512i value = _mm512_maskz_sub_epi8(capital, bytes_, all('A'));
    value = _mm512_mask_sub_epi8(value, small, bytes_, all('a' - 26));
    value = _mm512_mask_add_epi8(value, digit, bytes_, all(52 - '0'));
    value = _mm512_mask_mov_epi8(_mm512_mask_mov_epi8(value, plus, all(62)), slash, all(63));
    // Pairs of digits become 12 bits, and pairs of these 24.
    __m512i words =
        _mm512_madd_epi16(_mm512_maddubs_epi16(value, _mm512_set1_epi32(0x01400140)), _mm512_set1_epi32(0x00011000));
    static constexpr std::array<uint8_t, 16> kOrder = {2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 128, 128, 128, 128};
    __m512i parts = _mm512_shuffle_epi8(words, table(kOrder));
    __m512i places = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi32(places, parts));
    return capital | small | digit | plus | slash;
  }
  // Returns whether each byte is between `from` and `from + count - 1`.
  SCAN_WIDE uint64_t within(uint8_t from, uint8_t count) const {
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes_, all(from)), all(count));
  }
  SCAN_WIDE uint64_t equal(uint8_t byte) const { return _mm512_cmpeq_epu8_mask(bytes_, all(byte)); }
  // Returns whether each byte is in the set.
  SCAN_WIDE uint64_t in(const WideSet& set) const {
    // Bytes above 127 select no row of the table, so they are in no set.
    __m512i rows = _mm512_shuffle_epi8(table(set.rows), bytes_);
    __m512i upper = _mm512_and_si512(_mm512_srli_epi16(bytes_, 4), all(15));
    return _mm512_test_epi8_mask(rows, _mm512_shuffle_epi8(table(kBits), upper));
  }
  // Returns whether each byte is above 127.
  SCAN_WIDE uint64_t high() const { return _mm512_movepi8_mask(bytes_); }
  // Returns the bytes with this bit set in each of them.
  SCAN_WIDE Wide with(uint8_t bit) const { return Wide(_mm512_or_si512(bytes_, all(bit))); }

 private:
  SCAN_WIDE explicit Wide(__m512i bytes) : bytes_(bytes) {}
  static constexpr std::array<uint8_t, 16> kBits = {1, 2, 4, 8, 16, 32, 64, 128};
  SCAN_WIDE static __m512i table(const std::array<uint8_t, 16>& bytes) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data())));
  }
  SCAN_WIDE static __m512i all(uint8_t byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
  __m512i bytes_;
};

#else

inline bool use_wide = false;

#endif

}  // namespace bottle::scan
