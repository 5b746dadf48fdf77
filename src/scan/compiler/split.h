// Splits a pattern into a core, which vectorscan looks for, and repeated characters before and after it. Most
// patterns end with many characters of a kind, as in "ghp_[A-Za-z0-9]{36}". vectorscan would need many states for
// these characters, whereas the matcher just compares them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "scan/credential/matcher.h"

namespace bottle::scan {

struct SplitPattern {
  std::string core;  // a regular expression, which is not empty
  // True if all matches of the core with the same end certainly have the same beginning, even if the length of the
  // core may vary. If false, a lead may be used only if the core has a fixed length.
  bool one_begin = false;
  // These describe what is directly before the core: some characters of a set, perhaps with a literal before them.
  std::string literal;
  std::optional<CharacterSet> lead;
  uint32_t least = 0, most = 0;  // the number of these characters; if there is no upper limit, `most` is kNoLimit
  // These describe what is directly after the core: `count` characters of a set.
  std::optional<CharacterSet> tail;
  uint32_t count = 0;
};

// Returns the pattern as a whole if it cannot be split.
SplitPattern split(std::string_view pattern);

// Returns the part of a core that has the most fixed characters in a row, up to about kLongestProbe of them. Returns an
// empty string if the core has no repeated characters, because vectorscan then looks for little else.
std::string probe_of(std::string_view core);
inline constexpr size_t kLongestProbe = 5;

}  // namespace bottle::scan
