// Hashes texts that an attacker may choose. std::hash has no key, so an attacker can make many texts with equal hashes.
// A hash table of these takes quadratic time, and a set of their hashes mistakes one text for another.
#pragma once

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace bottle {

// Returns the value of a polynomial, modulo the prime 2^61 - 1, at a random point that never leaves the process. The
// coefficients are the size of the text and its bytes, seven at a time. Two different texts of n bytes have equal
// hashes with a probability of at most n / 2^61.
inline uint64_t keyed_hash(std::string_view text) {
  constexpr uint64_t kPrime = (uint64_t{1} << 61) - 1;
  static const uint64_t point = [] {
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random) __builtin_trap();
    return random % kPrime;
  }();
  __extension__ using Product = unsigned __int128;
  auto reduced = [](Product product) {
    uint64_t sum = static_cast<uint64_t>(product & kPrime) + static_cast<uint64_t>(product >> 61);
    return sum >= kPrime ? sum - kPrime : sum;
  };
  constexpr size_t kStep = 7, kLanes = 4;
  auto bytes_at = [&](size_t at) {
    uint64_t bytes;
    std::memcpy(&bytes, text.data() + at, sizeof bytes);
    return bytes & ((uint64_t{1} << 8 * kStep) - 1);
  };
  uint64_t sum = text.size();
  size_t at = 0;
  // Four coefficients at a time do not wait for each other, because each has a power of the point as its factor.
  static const std::array<uint64_t, kLanes + 1> powers = [reduced] {
    std::array<uint64_t, kLanes + 1> list{1};
    for (size_t i = 1; i < list.size(); ++i) list[i] = reduced(Product{list[i - 1]} * point);
    return list;
  }();
  for (; at + kLanes * kStep + 1 <= text.size(); at += kLanes * kStep) {
    Product all = reduced(Product{sum} * powers[kLanes]);
    for (size_t i = 0; i < kLanes; ++i) all += Product{bytes_at(at + i * kStep)} * powers[kLanes - 1 - i];
    sum = reduced(all);
  }
  auto add = [&](uint64_t coefficient) { sum = reduced(Product{sum} * point + coefficient); };
  for (; at + sizeof(uint64_t) <= text.size(); at += kStep) add(bytes_at(at));
  for (; at < text.size(); at += kStep) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, text.data() + at, std::min(kStep, text.size() - at));
    add(bytes);
  }
  return sum;
}

struct KeyedHash {
  size_t operator()(std::string_view text) const { return keyed_hash(text); }
};

// Hold texts that an attacker may have chosen, in no particular order.
template <class Text, class Value>
using KeyedMap = std::unordered_map<Text, Value, KeyedHash>;
template <class Text>
using KeyedSet = std::unordered_set<Text, KeyedHash>;

}  // namespace bottle
