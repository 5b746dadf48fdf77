// Finds the fixed characters of a pattern. vectorscan looks for these first, and for the rest of the pattern where it
// finds them. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bottle::scan {

// Returns the part of a core that has the most fixed characters in a row, up to about kLongestProbe of them. Returns an
// empty string if the core has no repeated characters, because vectorscan then looks for little else.
std::string probe_of(std::string_view core);
inline constexpr size_t kLongestProbe = 5;

// Returns how many fixed characters this part has.
size_t fixed_characters(std::string_view core);

}  // namespace bottle::scan
