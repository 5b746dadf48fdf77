// Splits a pattern into a core, which vectorscan looks for, and what is before and after it. Most patterns begin with
// some fixed characters, and continue with many characters of a kind, as in "ghp_[A-Za-z0-9]{36}". vectorscan would
// need many states for these, and would read far for each beginning of a pattern, whereas the matcher compares each
// character at most once. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scan/credential/matcher.h"

namespace bottle::scan {

struct SplitPattern {
  // Describes `least` to `most` characters of a set. If their number varies, either none of the characters that may
  // follow belongs to the set, or `is_tried` is set.
  struct Step {
    CharacterSet set;
    uint32_t least = 0, most = 0;
    bool is_tried = false;  // the matcher must try each number of characters
  };
  std::string core;  // a regular expression, which is not empty
  // True if all matches of the core with the same end certainly have the same beginning, even if the length of the
  // core may vary. If false, a lead may be used only if the core has a fixed length.
  bool one_begin = false;
  // These describe what is directly before the core: some characters of a set, perhaps with a literal before them.
  std::string literal;
  std::optional<CharacterSet> lead;
  uint32_t least = 0, most = 0;  // the number of these characters; if there is no upper limit, `most` is kNoLimit
  std::vector<Step> steps;       // what is directly after the core
};

// Returns the pattern as a whole if it cannot be split.
SplitPattern split(std::string_view pattern);

}  // namespace bottle::scan
