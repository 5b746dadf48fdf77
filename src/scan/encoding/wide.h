// Compares 64 bytes at once, for the loops that see every byte of every message. Only processors with AVX-512 can do
// that. All others use masks.h, which gives the same results.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#define SCAN_HAS_WIDE 1
#include <immintrin.h>
// Marks a function that may run only if use_wide is true.
#define SCAN_WIDE __attribute__((target("avx512f,avx512bw,popcnt,bmi,bmi2,lzcnt")))
#endif

namespace bottle::scan {

#ifdef SCAN_HAS_WIDE

// Whether this processor can do it. Tests turn it off to compare the results.
inline bool use_wide = [] {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi2");
}();

// 64 bytes of a text. Each comparison returns one bit per byte.
class Wide {
 public:
  SCAN_WIDE explicit Wide(const void* bytes) : bytes_(_mm512_loadu_si512(bytes)) {}
  // Returns whether each byte is between `from` and `from + count - 1`.
  SCAN_WIDE uint64_t within(uint8_t from, uint8_t count) const {
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes_, all(from)), all(count));
  }
  SCAN_WIDE uint64_t equal(uint8_t byte) const { return _mm512_cmpeq_epu8_mask(bytes_, all(byte)); }
  // Returns the bytes with this bit set in each of them.
  SCAN_WIDE Wide with(uint8_t bit) const { return Wide(_mm512_or_si512(bytes_, all(bit))); }

 private:
  SCAN_WIDE explicit Wide(__m512i bytes) : bytes_(bytes) {}
  SCAN_WIDE static __m512i all(uint8_t byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
  __m512i bytes_;
};

#else

inline bool use_wide = false;

#endif

}  // namespace bottle::scan
