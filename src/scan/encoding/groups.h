// Puts together what is cut into groups of equal size, such as "6768 705f", "g-h-p", and lines with the same
// beginning. It also reads the dumps of xxd, hexdump and od. Pure. Takes time proportional to the size of the groups.
#pragma once

#include <optional>
#include <string_view>

#include "scan/encoding/decode.h"

namespace bottle::scan {

// Describes groups that begin every `period` bytes. The same bytes separate all of them. The last group may be
// shorter.
struct Groups {
  size_t begin = 0, end = 0, period = 0;
};

// Returns the groups around `begin`, where a group begins, or nothing if there are fewer than two whole
// ones. Finds at most `most` groups besides that one.
std::optional<Groups> groups_at(std::string_view text, size_t begin, size_t period, size_t most);

// Says how many bytes ungroup() kept of each group, and of the shorter one that may come before the first.
struct GroupSizes {
  size_t group = 0, first = 0;
};
// Appends the groups to `out`, without what separates them and without numbers that count them.
GroupSizes ungroup(std::string_view text, const Groups& groups, Decoded& out);

// Returns the bytes of the hexadecimal dump that has a line at `at`. A line begins with an offset. The bytes of each
// word are in reverse order if `little_endian`. Returns nothing if there are fewer than two lines, or no words to
// reverse.
struct DumpSearch {
  size_t read = 0;  // approximately the bytes that were read
  // If no dump was found, words before this position do not begin one either, because they belong to the same line.
  size_t without = 0;
};
Decoded dumped(std::string_view text, size_t at, bool little_endian, DumpSearch& search);

}  // namespace bottle::scan
