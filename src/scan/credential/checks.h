// Checks what a pattern cannot: the structure and the checksum of a match, and that it is not a stand-in for a value.
// Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "scan/credential/rule.h"
#include "scan/credential/stand_in.h"

namespace bottle::scan {

// Says where the value is that a check confirmed.
struct Credential {
  size_t begin = 0, end = 0;  // of the value in the text
  bool sure = false;          // confirmed by a checksum or the structure
};

// Counts the work of judging the matches of one text, and remembers the last rows of characters that were read in it:
// many matches may be in one long row. Make a new one for each text, because it contains addresses in the text.
struct Judging {
  enum Row : uint8_t { kToken, kBase64, kRows };  // letters, digits, and "-_" or "+/-_="
  struct Known {
    const char *begin = nullptr, *end = nullptr;
  };
  size_t work = 0;  // approximately how many bytes were examined; bytes of values count several times
  std::array<Known, kRows> rows{};
  PlainText plain;
};

// Judges the match [begin, end) of the rule's pattern in `text`. Checks of what follows the match use only `end`.
// Looks at most 4 KB around the match. `joined` says that the text was assembled from pieces, so that what precedes
// the match means nothing. Adds to `judging.work`.
std::optional<Credential> judge(const Rule& rule, std::string_view text, size_t begin, size_t end, bool joined,
                                Judging& judging);

// Returns whether [begin, end) is a whole value of 32 to 64 characters of Base64 or Base64url that looks random, and
// whose name does not say that it is a hash, an identifier or something else that programs send all the time. Such a
// value may be a credential that no rule describes. The result is good enough for a warning only (random_value.cc).
bool is_random_value(std::string_view text, size_t begin, size_t end);

}  // namespace bottle::scan
