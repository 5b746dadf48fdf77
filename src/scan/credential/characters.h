// A set of characters in which a lookup takes constant time, and a search for the end of a row. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>

#include "scan/encoding/simd/masks.h"

namespace bottle::scan {

using Set = std::array<bool, 256>;
// Returns the set of these characters, at compile time where it is a constant.
constexpr Set set_of(std::string_view characters) {
  Set set{};
  for (unsigned char c : characters) set[c] = true;
  return set;
}

// Returns whether a character is of one kind, such as letters and digits, or those of Base64.
inline bool is_alnum(char c) { return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'); }
inline bool is_base64(char c) { return is_alnum(c) || c == '+' || c == '/'; }
inline bool is_blank(char c) { return c == ' ' || c == '\t'; }
inline bool is_quote(char c) { return c == '"' || c == '\'' || c == '`'; }
inline bool goes_on(char c) { return is_alnum(c) || c == '-' || c == '_'; }

// Returns where the letters, digits and `others` that begin at `from` end. Looks at 16 bytes at a time.
inline size_t end_of_row(std::string_view text, size_t from, std::string_view others) {
  while (from < text.size()) {
    Lanes c{};
    size_t size = std::min(sizeof c, text.size() - from);
    std::memcpy(&c, text.data() + from, size);
    Lanes members = within(c, '0', 10) | within(c | 32, 'a', 26);
    for (char each : others) members |= equal(c, static_cast<uint8_t>(each));
    size_t count = std::min(size, static_cast<size_t>(std::countr_one(bits_of(members))));
    from += count;
    if (count < size) break;
  }
  return from;
}

}  // namespace bottle::scan
