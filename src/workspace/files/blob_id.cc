#include "workspace/files/blob_id.h"

#include <bit>
#include <cstring>

namespace bottle::workspace {
void Sha1::add(std::string_view bytes) {
  length_ += bytes.size();
  while (!bytes.empty()) {
    size_t n = std::min(bytes.size(), sizeof block_ - used_);
    std::memcpy(block_ + used_, bytes.data(), n);
    bytes.remove_prefix(n);
    if ((used_ += n) == sizeof block_) take_block();
  }
}

std::string Sha1::end() {
  uint64_t bits = length_ * 8;
  add(std::string_view("\x80", 1));
  while (used_ != 56) add(std::string_view("\0", 1));
  char size[8];
  for (int i = 0; i < 8; ++i) size[i] = static_cast<char>(bits >> (56 - 8 * i));
  add({size, 8});
  std::string hex;
  for (uint32_t word : state_)
    for (int shift = 28; shift >= 0; shift -= 4) hex += "0123456789abcdef"[word >> shift & 15];
  return hex;
}

void Sha1::take_block() {
  uint32_t w[80];
  for (int i = 0; i < 16; ++i)
    w[i] = uint32_t{block_[4 * i]} << 24 | uint32_t{block_[4 * i + 1]} << 16 | uint32_t{block_[4 * i + 2]} << 8 |
           uint32_t{block_[4 * i + 3]};
  for (int i = 16; i < 80; ++i) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  auto [a, b, c, d, e] = state_;
  auto rounds = [&](int from, uint32_t constant, auto mix) {
    for (int i = from; i < from + 20; ++i) {
      uint32_t next = std::rotl(a, 5) + mix(b, c, d) + e + constant + w[i];
      e = d;
      d = c;
      c = std::rotl(b, 30);
      b = a;
      a = next;
    }
  };
  auto parity = [](uint32_t x, uint32_t y, uint32_t z) { return x ^ y ^ z; };
  rounds(0, 0x5a827999, [](uint32_t x, uint32_t y, uint32_t z) { return (x & y) | (~x & z); });
  rounds(20, 0x6ed9eba1, parity);
  rounds(40, 0x8f1bbcdc, [](uint32_t x, uint32_t y, uint32_t z) { return (x & y) | (x & z) | (y & z); });
  rounds(60, 0xca62c1d6, parity);
  uint32_t sums[5] = {a, b, c, d, e};
  for (size_t i = 0; i < 5; ++i) state_[i] += sums[i];
  used_ = 0;
}

Sha1 blob_hash(uint64_t size) {
  Sha1 sha;
  sha.add("blob " + std::to_string(size) + std::string(1, '\0'));
  return sha;
}

std::string blob_id(std::string_view content) {
  Sha1 sha = blob_hash(content.size());
  sha.add(content);
  return sha.end();
}

}  // namespace bottle::workspace
