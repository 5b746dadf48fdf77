// Finds the secrets that the operator named, in either case, reversed and in ROT13, even if they were encoded before. A
// built set is immutable. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scan/known/dictionary.h"

namespace bottle::scan {

// Holds the secrets in files that the operator named, and the values that the guard inserts (guard/core/scanner.h).
// Each call of add() makes the next number, or several numbers if the secret has characters beyond ASCII.
class KnownSecrets {
 public:
  // Adds a secret, and the bytes that it has in other character sets. Ignores values shorter than 8 bytes, because they
  // would be found everywhere by chance. A value longer than 48 bytes is found by its end and by any 32 bytes of it
  // that begin at a multiple of 32.
  void add(std::string name, std::string_view value);
  // Call it after the last add(). Before it, nothing is found.
  void build() { dictionary_.build(); }

  // Returns whether has_text() can be false for a decoded text that contains a secret, because a secret is short or
  // has few printable characters in a row.
  bool has_unlike() const { return has_unlike_; }
  // Returns whether there is no secret to find.
  bool empty() const { return names_.empty(); }
  // Returns whether all secrets are text, so that text_regions() misses none.
  bool all_text() const { return all_text_; }
  // Returns whether a secret has a space.
  bool has_spaces() const { return has_spaces_; }
  // Returns whether a secret, or a piece of one, is such that has_only_pairs() in escapes.h is true for it.
  bool has_hex() const { return hex_ > 0; }
  // Returns the name that was given to add().
  const std::string& name(uint32_t secret) const { return names_[secret]; }

  // Calls each(secret, begin, end). `folded` is a text without capitals.
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

  // Returns the secret whose beginning, of more than half and at least kSurelyBegun bytes, is the end of the text, and
  // the offset of that beginning. Returns nothing if there is none.
  std::optional<std::pair<uint32_t, size_t>> begun(std::string_view folded) const;
  static constexpr size_t kSurelyBegun = 12;

 private:
  static constexpr size_t kShortestRow = 12;  // for has_text()
  void add_bytes(std::string name, std::string_view value);
  void add_encoded(uint32_t secret, std::string_view value);

  std::vector<std::string> names_;
  Dictionary dictionary_;
  bool all_text_ = true, has_unlike_ = false, has_spaces_ = false;
  size_t hex_ = 0;      // for how many pieces has_only_pairs() is true
  std::string folded_;  // kept to allocate less
};

// Writes `text` to `to` with its ASCII capitals in lower case.
void fold(std::string_view text, std::string& to);

}  // namespace bottle::scan
