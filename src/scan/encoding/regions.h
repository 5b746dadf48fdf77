// Tells text from the bytes of archives, images and other binary formats, so that the rules and the survey
// need not look at those. Pure.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace bottle::scan {

// The bytes [begin, end) of a block.
struct Region {
  size_t begin = 0, end = 0;
};

// The parts of a block that may contain text. Each list is in order, and its regions are apart from each other.
struct Regions {
  // Between these are only bytes that look random: many above 127, some control characters, no row of kTextRow
  // printable characters or zeros, and not many more of these, or of hexadecimal digits, than random bytes have. Text,
  // escapes, UTF-8, UTF-16 and numbers in any notation are not like that, even with unusual bytes between their
  // characters. Each region goes on for at least 64 bytes beyond what made it one.
  std::vector<Region> text;
  // Regions with shorter rows, of at least kShortRow characters, which may also overlap with those above. Random bytes
  // have many. No credential and no encoded secret is so short, but a secret as it is may be.
  std::vector<Region> rows;
};
inline constexpr size_t kTextRow = 11, kShortRow = 8;

// Takes one pass over the block. Text counts as one region over its whole length.
Regions text_regions(std::string_view block);

}  // namespace bottle::scan
