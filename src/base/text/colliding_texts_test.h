// Makes texts as an attacker does who knows std::hash.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace bottle {

// Returns 2^`bits` different texts of the same length for which libstdc++'s std::hash returns the same value. That hash
// is MurmurHash64A, which reads 8 bytes at a time. Changing the highest bit of one step's product changes only the
// highest bit of the result, and the next step can undo that.
inline std::vector<std::string> colliding_texts(int bits) {
  constexpr uint64_t kMul = 0xc6a4a7935bd1e995;
  uint64_t inverse = 1;
  for (int i = 0; i < 6; ++i) inverse *= 2 - kMul * inverse;
  auto mixed = [](uint64_t value) { return value ^ value >> 47; };  // is its own inverse
  auto product = [&](uint64_t block) { return mixed(block * kMul) * kMul; };
  auto block_of = [&](uint64_t wanted) { return mixed(wanted * inverse) * inverse; };
  auto bytes = [](uint64_t block) {
    char text[sizeof block];
    std::memcpy(text, &block, sizeof block);
    return std::string(text, sizeof text);
  };
  std::vector<std::string> texts = {""};
  for (int i = 0; i < bits; ++i) {
    uint64_t block = 0x1234567890abcdef + static_cast<uint64_t>(i);
    uint64_t other = block_of(product(block) ^ uint64_t{1} << 63);
    std::vector<std::string> longer;
    for (const auto& text : texts)
      for (uint64_t each : {block, other}) longer.push_back(text + bytes(each) + bytes(each));
    texts = std::move(longer);
  }
  return texts;
}

}  // namespace bottle
