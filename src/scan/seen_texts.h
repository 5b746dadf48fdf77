// Remembers texts by a keyed hash. An agent chooses the texts, so it must not be able to make two with equal hashes:
// the second one, with a secret in it, would not be scanned.
#pragma once

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace bottle::scan {

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

// Maps the hashes of texts to the smallest depth at which each was scanned.
class SeenTexts {
 public:
  // Returns whether the text was scanned at this depth or less.
  bool has(uint64_t hash, int depth) const { return !entries_.empty() && entries_[place_of(hash)].depth <= depth; }
  void add(uint64_t hash, int depth) {
    if (2 * (count_ + 1) > entries_.size()) grow();
    Entry& entry = entries_[place_of(hash)];
    count_ += entry.depth == kFree;
    entry = {hash, std::min(entry.depth, depth)};
  }
  void forget(uint64_t hash) {
    if (entries_.empty()) return;
    Entry& entry = entries_[place_of(hash)];
    if (entry.depth != kFree) entry.depth = kForgotten;
  }

 private:
  static constexpr int kFree = INT_MAX, kForgotten = INT_MAX - 1;
  struct Entry {
    uint64_t hash = 0;
    int depth = kFree;
  };
  // Returns where the hash is, or where it would be added.
  size_t place_of(uint64_t hash) const {
    size_t place = hash & (entries_.size() - 1);  // the size is a power of two
    while (entries_[place].depth != kFree && entries_[place].hash != hash) place = (place + 1) & (entries_.size() - 1);
    return place;
  }
  void grow() {
    std::vector<Entry> before(std::max<size_t>(64, 2 * entries_.size()));
    before.swap(entries_);
    for (const Entry& each : before)
      if (each.depth != kFree) entries_[place_of(each.hash)] = each;
  }

  std::vector<Entry> entries_;
  size_t count_ = 0;
};

}  // namespace bottle::scan
