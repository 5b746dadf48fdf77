// Finds the parts of a run of Base64 that may be hexadecimal or Base32, whose digits are also digits of Base64. Pure.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace bottle::scan {

// Stands for a part of a run of Base64 that uses a smaller alphabet: 24 or more hexadecimal digits, or 20 or more
// digits of Base32, of which the first 64 have one case. Longer parts do not cover it. A part of Base32 goes on where
// the case changes. At most one part that begins in capitals and one that begins in lowercase letters cover a digit.
struct RunPart {
  size_t begin = 0, end = 0;  // in the run
  bool is_hex = false;        // otherwise, it is Base32
  bool operator==(const RunPart&) const = default;
};
inline constexpr size_t kShortestHex = 24;  // digits; these are 12 bytes, the shortest text that has_text() looks for
// Returns whether the run has only hexadecimal digits.
bool is_hex(std::string_view run);
// Sets `parts` to the parts of the run. If all of the run is hexadecimal, it is the only part.
void parts_of_run(std::string_view run, std::vector<RunPart>& parts);

}  // namespace bottle::scan
