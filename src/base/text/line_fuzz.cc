// Checks that one_line() of any bytes has no effect on a terminal, and that applying it again changes nothing.
#include <cstdlib>

#include "base/text/line.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string line = bottle::one_line(text);
  for (unsigned char c : line)
    if (c < 0x20 || c == 0x7f) std::abort();
  for (size_t i = 0; i + 1 < line.size(); ++i)
    if (static_cast<unsigned char>(line[i]) == 0xc2 && static_cast<unsigned char>(line[i + 1]) < 0xa0) std::abort();
  if (line.size() > bottle::kLongestLine || bottle::one_line(line) != line) std::abort();
  for (unsigned char c : bottle::ascii_json(text))
    if ((c < 0x20 && c != '\n') || c >= 0x7f) std::abort();
  return 0;
}
