// Remembers texts by a keyed hash. An agent chooses the texts, so it must not be able to make two with equal hashes:
// the second one, with a secret in it, would not be scanned.
#pragma once

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/keyed_hash.h"

namespace bottle::scan {

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
