// Splits a pattern into a core, which vectorscan looks for, and repeated characters before and after it. Most patterns
// end with many characters of a kind, as in "ghp_[A-Za-z0-9]{36}". vectorscan needs an automaton for these, while the
// matcher only looks at them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "scan/credential/matcher.h"

namespace bottle::scan {

struct SplitPattern {
  std::string core;  // a regular expression, which is not empty
  // Whether it is certain that, of all matches of the core with the same end, there is only one beginning, although
  // their length may vary. Otherwise, a lead may be used only if the core has a fixed length.
  bool one_begin = false;
  // What stands directly before the core: some characters of a set, and perhaps a literal before them.
  std::string literal;
  std::optional<CharacterSet> lead;
  uint32_t least = 0, most = 0;  // the number of these characters; if there is no upper limit, `most` is kNoLimit
  // What stands directly after the core: `count` characters of a set.
  std::optional<CharacterSet> tail;
  uint32_t count = 0;
};

// Returns the pattern as a whole if it cannot be split.
SplitPattern split(std::string_view pattern);

}  // namespace bottle::scan
