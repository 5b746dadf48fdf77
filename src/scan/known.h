// The secrets that the operator named, found in either case, backwards and in ROT13. Immutable once built. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "scan/dictionary.h"

namespace bottle::scan {

class KnownSecrets {
 public:
  // Values of under 8 bytes are ignored: they would be found everywhere by chance. A value of more than 48 bytes is
  // found by any 32 bytes of it that begin at a multiple of 32, and by its end.
  void add(std::string name, std::string_view value);
  void build() { dictionary_.build(); }

  bool empty() const { return names_.empty(); }
  const std::string& name(uint32_t secret) const { return names_[secret]; }

  // `folded`: a text without capitals. Calls each(secret, begin, end).
  template <typename F>
  void find(std::string_view folded, F each) const {
    Dictionary::State state = Dictionary::kRoot;
    for (size_t at = 0; at < folded.size();) {
      if (state == Dictionary::kRoot) {
        at = dictionary_.skip(folded, at, folded.size());
        if (at == folded.size()) return;
      }
      state = dictionary_.next(state, static_cast<uint8_t>(folded[at++]));
      if (!dictionary_.reports(state)) continue;
      dictionary_.each_end(state, [&](uint32_t index) {
        const Pattern& pattern = dictionary_.pattern(index);
        each(pattern.needle, at - pattern.length, at);
      });
    }
  }

 private:
  std::vector<std::string> names_;
  Dictionary dictionary_;
};

// Writes `text` without capitals (ASCII) to `to`.
void fold(std::string_view text, std::string& to);

}  // namespace bottle::scan
