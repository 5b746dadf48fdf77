// Implements SHA-1 (FIPS 180-4) by hand, because the helper links no cryptographic library. JKS and NSS use it only
// as a checksum and as an index, so its weakness does not matter.
#include "inside/trust/bytes.h"

#include <array>
#include <bit>

namespace bottle::inside {
namespace {

using State = std::array<uint32_t, 5>;

void sha1_block(State& h, std::string_view block) {
  std::array<uint32_t, 80> w{};
  for (size_t i = 0; i < 64; ++i) w[i / 4] = w[i / 4] << 8 | static_cast<unsigned char>(block[i]);
  for (size_t i = 16; i < 80; ++i) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  auto [a, b, c, d, e] = h;
  for (size_t i = 0; i < 80; ++i) {
    uint32_t f = i < 20 ? (b & c) | (~b & d) : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
    constexpr std::array<uint32_t, 4> k = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t next = std::rotl(a, 5) + f + e + k[i / 20] + w[i];
    e = d, d = c, c = std::rotl(b, 30), b = a, a = next;
  }
  h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

}  // namespace

void put(std::string& out, uint64_t value, int bytes) {
  while (bytes-- > 0) out += static_cast<char>(value >> (8 * bytes) & 0xff);
}

std::string sha1(std::string_view bytes) {
  State h = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  std::string padded(bytes);
  // A one bit, zeros and the length in bits fill the text up to a multiple of 64 bytes (FIPS 180-4, section 5.1.1).
  padded += '\x80';
  while (padded.size() % 64 != 56) padded += '\0';
  put(padded, bytes.size() * 8, 8);
  for (size_t at = 0; at < padded.size(); at += 64) sha1_block(h, std::string_view(padded).substr(at, 64));
  std::string out;
  for (uint32_t word : h) put(out, word, 4);
  return out;
}

}  // namespace bottle::inside
