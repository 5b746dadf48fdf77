// Makes one fast pass over a block and finds what may be encoded, compressed or a number. It judges nothing,
// and only says where to look. It works on masks with one bit for each of 64 bytes. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "scan/encoding/regions.h"

namespace bottle::scan {

// Says what may be at a spot.
enum class Shape : uint8_t {
  run,         // 16 or more characters of Base64 or Base64url, which includes hex, Base32 and long words
  hex_pairs,   // 8 or more pairs of hexadecimal digits at equal distances
  wide,        // every other byte is zero, as in UTF-16, or three of four, as in UTF-32
  escapes,     // backslash escapes or entities of the characters of credentials
  percent,     // percent escapes of those characters
  decimals,    // a list of numbers
  words,       // twelve or more lower-case words of 3 to 8 letters
  digits,      // many digits: a card or account number may begin here
  compressed,  // a gzip, zlib or zstd member may begin here
  groups,      // characters in groups of equal size; see groups.h
  letters,     // invisible characters, or letters and digits of other blocks of Unicode
};

// Names a place where something may be encoded. It may turn out to be nothing.
struct Spot {
  Shape shape = Shape::run;
  bool lines = false;   // a run of several lines
  uint16_t period = 0;  // of groups and of wide characters
  uint32_t begin = 0, end = 0;
};

// Says what the survey should look for.
struct Wanted {
  bool groups = true;
  bool all_numbers = false;     // also lists of numbers that are neither text nor compressed
  bool in_escaped = true;       // also what is between percent escapes; the text that these decode to contains it, too
  size_t most_work = SIZE_MAX;  // the survey ends after more work than this
};

// Appends the spots of the block that begin in one of the regions. Spots of compressed data may begin anywhere. Runs
// that are lines of one text form one spot. Escapes that are close to each other form one spot with the text around
// them. Returns the work of looking more closely at some places, in units of BlockResult::work.
size_t survey(std::string_view block, const std::vector<Region>& regions, std::vector<Spot>& spots,
              const Wanted& wanted = {});

inline constexpr size_t kShortestRun = 16;

}  // namespace bottle::scan
