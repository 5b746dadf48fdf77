// Classifies bytes 64 at a time. A mask has one bit for each of them, which says whether the byte is in a class.
// These are GCC's portable vectors; wide.h does the same with AVX-512.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace bottle::scan {

// Holds 16 bytes that are compared with one instruction.
using Lanes = uint8_t __attribute__((vector_size(16)));

// Returns one bit per lane. Each lane must be 0 or 255.
inline uint64_t bits_of(const Lanes& lanes) {
#ifdef __SSE2__
  return static_cast<uint32_t>(_mm_movemask_epi8(__builtin_bit_cast(__m128i, lanes)));
#else
  uint64_t mask = 0;
  auto parts = __builtin_bit_cast(std::array<uint64_t, 2>, lanes);
  for (int i = 0; i < 2; ++i) mask |= ((parts[i] & 0x8040201008040201u) * 0x0101010101010101u >> 56) << (i * 8);
  return mask;
#endif
}

// Returns whether each byte is between `from` and `from + count - 1`.
inline Lanes within(const Lanes& bytes, uint8_t from, uint8_t count) {
  return reinterpret_cast<Lanes>(static_cast<Lanes>(bytes - from) < count);
}
inline Lanes equal(const Lanes& bytes, uint8_t byte) { return reinterpret_cast<Lanes>(bytes == byte); }
constexpr bool within(uint8_t byte, uint8_t from, uint8_t count) { return static_cast<uint8_t>(byte - from) < count; }

using Block = std::array<Lanes, 4>;
// Loads 64 bytes from any address.
inline Block load_block(const uint8_t* bytes) {
  Block block;
  std::memcpy(&block, bytes, sizeof block);
  return block;
}

// Returns one bit per byte, which is set if `in(bytes)` is true for it.
template <typename F>
inline uint64_t mask_of(const Block& block, F in) {
  return bits_of(in(block[0])) | bits_of(in(block[1])) << 16 | bits_of(in(block[2])) << 32 |
         bits_of(in(block[3])) << 48;
}

// Does the same for pairs of neighbors: `next` is the block that begins one byte later.
template <typename F>
inline uint64_t mask_of(const Block& block, const Block& next, F in) {
  return bits_of(in(block[0], next[0])) | bits_of(in(block[1], next[1])) << 16 | bits_of(in(block[2], next[2])) << 32 |
         bits_of(in(block[3], next[3])) << 48;
}

// Returns whether a zlib member may begin with 0x78 and this byte.
inline bool packs_zlib(uint8_t second) { return second == 0x01 || second == 0x5e || second == 0x9c || second == 0xda; }

// Returns one bit for each of 64 bytes, which is set where the first two bytes of a gzip, zstd or zlib member are.
// Reads 65 bytes.
inline uint64_t packed_mask(const uint8_t* bytes) {
  return mask_of(load_block(bytes), load_block(bytes + 1), [](const Lanes& c, const Lanes& n) {
    return (equal(c, 0x1f) & equal(n, 0x8b)) | (equal(c, 0x28) & equal(n, 0xb5)) |
           (equal(c, 0x78) & (equal(n, 0x01) | equal(n, 0x5e) | equal(n, 0x9c) | equal(n, 0xda)));
  });
}

}  // namespace bottle::scan
