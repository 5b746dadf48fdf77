// Tells text from the bytes of archives, images and other binary formats, so that the rules and the survey can skip
// those. Pure.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace bottle::scan {

// Stands for the bytes [begin, end) of a block.
struct Region {
  size_t begin = 0, end = 0;
};

// Lists the parts of a block that may contain text. Each list is in order, and its regions do not touch each other.
struct Regions {
  // Between these regions are only bytes that look random. Many are above 127, some are control characters, no
  // kTextRow of them in a row are printable or zero, and printable characters, zeros and hexadecimal digits are not
  // much more frequent than among random bytes. Text, escapes, UTF-8, UTF-16 and numbers in any notation are not like
  // that, even with unusual bytes between their characters. Each region extends at least 64 bytes beyond the bytes
  // that qualified it.
  std::vector<Region> text;
  // Regions with at least kShortRow printable characters in a row, which may overlap with those above. Random bytes
  // have many such regions. No credential and no encoded secret is so short, but an unencoded known secret may be.
  std::vector<Region> rows;
};
inline constexpr size_t kTextRow = 11, kShortRow = 8;

// Takes one pass over the block. Text counts as one region over its whole length.
Regions text_regions(std::string_view block);

}  // namespace bottle::scan
