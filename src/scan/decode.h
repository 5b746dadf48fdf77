// Takes one encoding off a piece of text. Pure; the result is never longer than the piece, except of compression.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::scan {

// A text that was made from another one, and where its bytes come from.
struct Decoded {
  struct Anchor {
    uint32_t at = 0;    // from this byte of the text on, up to the next anchor, …
    uint32_t from = 0;  // … it comes from these bytes of the other text on
  };
  std::string text;
  std::vector<Anchor> anchors;  // in order; at least every kStride bytes
  size_t end = 0;               // of the other text, where what the last bytes come from ends
  static constexpr size_t kStride = 48;

  // What follows comes from `from` on. Only as often as is useful: each takes memory.
  void anchor(size_t from) {
    constexpr size_t kApart = 12;
    if (!anchors.empty() && text.size() - anchors.back().at < kApart) return;
    add_anchor(text.size(), from);
  }
  void add_anchor(size_t at, size_t from) {
    anchors.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(from)});
  }
};

// Base64 or Base64url of either alphabet, up to the first other byte; without the anchors. For headers and tokens.
std::string base64(std::string_view run);

// Base64 and Base64url, as one reader takes it who begins at the first character and passes over anything between that
// is no character of them; a group that ends with '=' ends there. `bits`: 0, 2, 4 or 6 bits of the beginning are
// skipped, which gives what stands at the other alignments.
Decoded base64_run(std::string_view text, size_t begin, size_t end, unsigned bits);
// The same for Base32 of either case, with 0 to 7 bits skipped.
Decoded base32_run(std::string_view text, size_t begin, size_t end, unsigned bits);
// What either gives with more bits skipped (1 to 7), from what it gave with none, except for its last byte.
Decoded shifted(const Decoded& aligned, unsigned bits);
// Pairs of hexadecimal digits with anything between the pairs, as "41:42", "0x41, 0x42" and "\x41\x42".
Decoded hex_run(std::string_view text, size_t begin, size_t end);
// %41, also when the '%' is itself escaped, any number of times; '+' stays.
Decoded percent(std::string_view text, size_t begin, size_t end);
// \u0041 \x41 \101 \/ \" &#65; &#x41; &amp; and the like; \n and its kind become spaces.
Decoded unescaped(std::string_view text, size_t begin, size_t end);
// The low bytes of UTF-16 of either order.
Decoded narrowed(std::string_view text, size_t begin, size_t end);
// A row of numbers from 9 to 126, as in "[65, 66, 67]".
Decoded decimal_run(std::string_view text, size_t begin, size_t end);

// The compressed forms. Stop at the end, at a mistake, and after `most` bytes.
enum class Compression : uint8_t { gzip, zlib, deflate, zstd, brotli };
std::string decompressed(Compression compression, std::string_view bytes, size_t most);

// Whether there may be something to read in the bytes: 12 printable ones in a row, or every other one.
bool has_text(std::string_view bytes);

}  // namespace bottle::scan
