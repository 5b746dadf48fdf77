// Tells text from the bytes of archives, images and other binary formats, so that the rules and the survey
// need not look at those. Pure.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace bottle::scan {

struct Region {
  size_t begin = 0, end = 0;
};

// Returns the parts of the block that may contain text, in order and apart from each other. Between them are only bytes
// that look random: many above 127, some control characters, no 8 printable characters or zeros in a row, and not many
// more of these, or of hexadecimal digits, than random bytes have. Text, escapes, UTF-8, UTF-16 and numbers in any
// notation are not like that, also with unusual bytes between their characters. Each region goes on for at least 64
// bytes beyond what made it one.
std::vector<Region> text_regions(std::string_view block);

}  // namespace bottle::scan
