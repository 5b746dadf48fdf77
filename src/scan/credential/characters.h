// Defines a set of characters in which a lookup takes constant time. Pure.
#pragma once

#include <array>
#include <string_view>

namespace bottle::scan {

using Set = std::array<bool, 256>;
// Returns the set of these characters, at compile time where it is a constant.
constexpr Set set_of(std::string_view characters) {
  Set set{};
  for (unsigned char c : characters) set[c] = true;
  return set;
}

}  // namespace bottle::scan
