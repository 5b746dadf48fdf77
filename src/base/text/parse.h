// Helps to parse: reads numbers, and defines the result of parsing bytes that arrive piece by piece.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>
#include <system_error>

namespace bottle {

// A parser returns `incomplete` only while further bytes can still make the input valid.
enum class Parse { incomplete, ok, bad };

// Converts the whole text to a number. Returns nothing if the text is empty or has any other character, such as a
// space, a plus sign or the prefix "0x", or if the number does not fit into T. A minus sign is valid only if T is
// signed.
template <std::integral T>
std::optional<T> number_in(std::string_view text, int base = 10) {
  T number = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, number, base);
  if (error != std::errc() || rest != end) return std::nullopt;
  return number;
}

}  // namespace bottle
