// A set of characters in which a lookup takes constant time. Pure.
#pragma once

#include <array>
#include <string_view>

namespace bottle::scan {

using Set = std::array<bool, 256>;
constexpr Set set_of(std::string_view characters) {
  Set set{};
  for (unsigned char c : characters) set[c] = true;
  return set;
}

}  // namespace bottle::scan
