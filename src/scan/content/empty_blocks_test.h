// Makes compressed bytes that take decoders much work and decode to almost nothing.
#pragma once

#include <string>
#include <string_view>

namespace bottle::scan {

// Returns blocks of deflate without output, with each of which a decoder builds full tables. None is the last block of
// a stream. Two of them have 59 bytes. If there is a text of ASCII characters, the last one of them decodes to it.
inline std::string empty_blocks(size_t count, std::string_view text = {}) {
  std::string out;
  size_t filled = 0;
  auto put = [&](unsigned value, unsigned size) {
    for (; size > 0; --size, value >>= 1, ++filled) {
      if (filled % 8 == 0) out += '\0';
      out.back() = static_cast<char>(static_cast<unsigned char>(out.back()) | (value & 1) << filled % 8);
    }
  };
  // A code begins with its highest bit.
  auto put_code = [&](unsigned code, unsigned size) {
    while (size > 0) put(code >> --size & 1, 1);
  };
  // Writes that so many codes have the length whose own code is `code`. Zero means to repeat the last length.
  auto put_lengths = [&](unsigned code, unsigned codes) {
    put_code(code, 3);
    for (--codes; codes >= 3;) {
      unsigned times = codes < 6 ? codes : 6;
      put_code(0, 1), put(times - 3, 2);
      codes -= times;
    }
    for (; codes > 0; --codes) put_code(code, 3);
  };
  for (; count > 0; --count) {
    // The block has 286 codes of letters, 30 of distances, and 12 of lengths.
    put(0, 1), put(2, 2), put(286 - 257, 5), put(30 - 1, 5), put(12 - 4, 4);
    for (unsigned size : {1, 0, 0, 0, 3, 0, 3, 0, 0, 3, 0, 3}) put(size, 3);
    put_lengths(6, 226), put_lengths(7, 60);  // 8 and 9 bits, for letters
    put_lengths(4, 2), put_lengths(5, 28);    // 4 and 5 bits, for distances
    if (count == 1)
      for (char c : text) put_code(static_cast<unsigned char>(c), 8);
    put_code(482, 9);  // the end of the block
  }
  return out;
}

}  // namespace bottle::scan
