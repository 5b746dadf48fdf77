// Inputs of the scanner for the bench: a piece of text that is repeated, and encodings of the whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::bench {

enum class Wrap : uint8_t {
  base64,
  base64url,  // without padding
  base32,
  hex,
  hex_pairs,  // "41 42 "
  percent,
  unicode,   // \u0041
  entities,  // &#65;
  json,      // a string in JSON
  decimals,  // 65, 66
  utf16,
  gzip,
  zlib,
  quoted,  // pieces of four characters in quotes
};
inline constexpr int kWraps = 14;
std::string_view name_of(Wrap wrap);

struct Input {
  std::string piece;          // with <alnum 40> and similar parts, which are filled with other characters each time
  std::vector<Wrap> wraps{};  // applied in this order
};

// Returns `size` bytes of the input. The same input is always the same text.
std::string made(const Input& input, size_t size);

// Returns nanoseconds of the thread's CPU time.
double cpu_nanoseconds();

}  // namespace bottle::bench
