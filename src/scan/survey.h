// One fast pass over a block that finds what may be encoded, compressed or a number: no judgment, only where to look.
// It works on masks of 64 bytes, a bit for each. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace bottle::scan {

enum class Shape : uint8_t {
  run,         // 16 or more characters of Base64 or Base64url: also hex, Base32, and long words
  hex_pairs,   // 8 or more pairs of hexadecimal digits, the same distance apart
  wide,        // every other byte is zero: UTF-16
  escapes,     // backslash escapes or entities of what credentials are made of
  percent,     // percent escapes of it
  decimals,    // a row of numbers
  words,       // twelve or more words of lower-case letters, 3 to 8 long
  digits,      // many digits: a card or an account number may begin here
  compressed,  // a member of gzip, zlib or zstd may begin here
};

struct Spot {
  Shape shape = Shape::run;
  size_t begin = 0, end = 0;
};

// Appends the spots of the block. Runs that are lines of one text are one spot; escapes that are near to each other
// are, too, with what stands around them.
void survey(std::string_view block, std::vector<Spot>& spots);

inline constexpr size_t kShortestRun = 16;

}  // namespace bottle::scan
