// Removes one encoding from a piece of text. Pure. The result is never longer than the piece,
// except for compression.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::scan {

// Holds a text that was made from another one, and where its bytes come from.
struct Decoded {
  // Links a byte of `text` with its source.
  struct Anchor {
    uint32_t at = 0;           // the bytes of the text from `at` up to the next anchor …
    uint32_t from : 29 = 0;    // … come from the other text, starting at `from`
    uint32_t skipped : 3 = 0;  // of Base64 and Base32, the bits of the digit at `from` that belong to earlier bytes
  };
  // Says how the text was made, so that origin_of() can repeat it.
  enum class Form : uint8_t {
    other,
    base64,
    base32,
    hex,
    percent,
    quoted,
    escapes,
    wide,
    decimals,
    binary,
    lines,
    letters,
    parts,  // each anchor begins a part that is copied
  };
  std::string text;
  std::vector<Anchor> anchors;  // in order; about one every kStride bytes, fewer in plain stretches
  size_t end = 0;               // where the source of the last bytes ends in the other text
  Form form = Form::other;
  unsigned skipped = 0;  // the number of bits by which each byte begins after the place that its anchor gives
  size_t between = 0;    // if not 0, several texts were put together, each followed by this many bytes with an anchor
  static constexpr size_t kStride = 48;

  // Records that the following bytes come from `from` onward. Adds an anchor only if it is useful, because each one
  // takes memory.
  void anchor(size_t from) {
    constexpr size_t kApart = 12;
    if (!anchors.empty() && text.size() - anchors.back().at < kApart) return;
    add_anchor(text.size(), from);
  }
  // Adds an anchor unconditionally. `bits` is the number of bits of the first digit that belong to earlier bytes.
  void add_anchor(size_t at, size_t from, unsigned bits = 0) {
    constexpr uint32_t kLargest = (1u << 29) - 1, kMostBits = 7;
    anchors.push_back(
        {static_cast<uint32_t>(at), static_cast<uint32_t>(std::min<size_t>(from, kLargest)), bits & kMostBits});
  }
};

// Says where bytes of a decoded text come from in the other text.
struct Origin {
  size_t begin = 0, end = 0;
  unsigned skipped = 0;  // see Anchor
};
// Returns exactly where the bytes [begin, end) of `map` come from. `end` is the end of the source if they are the
// last ones. Takes time in proportion to their number.
Origin origin_of(std::string_view text, const Decoded& map, size_t begin, size_t end);

// Decodes Base64 or Base64url up to the first byte that belongs to neither, without anchors. Used for headers and
// tokens.
std::string base64(std::string_view run);

// The values of digits, or -1.
using DigitTable = std::array<int8_t, 256>;
inline constexpr DigitTable kBase64Digits = [] {
  DigitTable table{};
  table.fill(-1);
  for (int i = 0; i < 26; ++i) {
    table[static_cast<size_t>('A' + i)] = static_cast<int8_t>(i);
    table[static_cast<size_t>('a' + i)] = static_cast<int8_t>(26 + i);
  }
  for (int i = 0; i < 10; ++i) table[static_cast<size_t>('0' + i)] = static_cast<int8_t>(52 + i);
  table['+'] = table['-'] = 62;
  table['/'] = table['_'] = 63;
  return table;
}();
constexpr int base64_digit(char c) { return kBase64Digits[static_cast<uint8_t>(c)]; }
int base32_digit(char c);

// Decodes Base64 and Base64url like a reader that begins at the first character and skips all characters that do not
// belong to them. A group that ends with '=' ends there. `bits` (0, 2, 4 or 6) is the number of bits to skip at the
// beginning, which gives the texts at the other alignments.
Decoded base64_run(std::string_view text, size_t begin, size_t end, unsigned bits);
// Does the same for Base32 of either case, with 0 to 7 bits skipped.
Decoded base32_run(std::string_view text, size_t begin, size_t end, unsigned bits);
// Sets `to` to the text that either function returns with more bits skipped (1 to 7), made from its text with none
// skipped. The last byte may be missing.
void shift(std::string_view aligned, unsigned bits, std::string& to);

// Decodes pairs of hexadecimal digits with anything between the pairs, such as "41:42", "0x41, 0x42" and "\x41\x42".
Decoded hex_run(std::string_view text, size_t begin, size_t end);
// Sets `to` to what the digits decode to, which must all be hexadecimal. A last single digit counts as the first one
// of a pair.
void hex_digits(std::string_view digits, std::string& to);
// Returns the positions of the character in [begin, end).
std::vector<uint32_t> positions_of(char c, std::string_view text, size_t begin, size_t end);
// Decodes %41, even if the '%' is itself escaped, any number of times. '+' is unchanged. In HTML forms, it is a space,
// unless it was escaped: adds the places that each other one has in the decoded text to `pluses` if that is not null.
Decoded percent(std::string_view text, size_t begin, size_t end, std::vector<uint32_t>* pluses = nullptr);
// Decodes quoted-printable (RFC 2045 §6.7): =41, and line ends after '=', which it drops. The text may be in a string
// of JSON, which has escapes in the place of line ends.
Decoded quoted_printable(std::string_view text);
// Decodes \u0041, \x41, \101, \/, \", &#65;, &#x41;, &amp; and similar escapes. \n and similar ones become spaces.
Decoded unescaped(std::string_view text, size_t begin, size_t end);
// Decodes the same backslash escapes as bytes, as Python and C do in strings of bytes. The other function makes UTF-8
// of those above 127.
Decoded unescaped_bytes(std::string_view text, size_t begin, size_t end);
// Returns whether compressed bytes may begin in that text. Takes what unescaped() returns.
bool may_be_packed_bytes(std::string_view unescaped);
// Returns the low bytes of UTF-16 or UTF-32 in either byte order.
Decoded narrowed(std::string_view text, size_t begin, size_t end);
// Each decodes one character or escape at `at`, appends it to `out`, and returns where the next one begins.
size_t percent_step(std::string_view text, size_t at, size_t end, std::string& out);
size_t quoted_step(std::string_view text, size_t at, size_t end, std::string& out);
size_t escape_step(std::string_view text, size_t at, size_t end, std::string& out);
size_t letter_step(std::string_view text, size_t at, size_t end, std::string& out);
// Decodes a list of numbers up to 255, such as "[65, 66, 67]". Larger ones become 255.
Decoded decimal_run(std::string_view text, size_t begin, size_t end);
// Decodes a run of the digits 0 and 1, eight for each byte. Returns nothing if the run has other digits.
Decoded binary_run(std::string_view text, size_t begin, size_t end);
// Returns a run that has several lines as one line; see survey.h.
Decoded without_line_ends(std::string_view text, size_t begin, size_t end);
// Removes characters that are invisible, and writes letters and digits of other blocks of Unicode, such as full-width
// and mathematical ones, as ASCII.
Decoded plain_letters(std::string_view text, size_t begin, size_t end);
// Returns the number of bytes of the character at `at` if plain_letters() changes it, and otherwise 0.
size_t unusual_letter(std::string_view text, size_t at);

enum class Compression : uint8_t { gzip, zlib, deflate, zstd, brotli };
struct Unpacked {
  std::string text;
  size_t used = 0;     // the number of bytes that were taken
  size_t work = 0;     // the work that depends on neither number of bytes, in the unit of BlockResult::work
  bool spent = false;  // it ended because more of such work was needed
};
// Decompresses until the end, an error, `most` bytes of text, or until it would take more than `most_work`.
Unpacked decompressed(Compression compression, std::string_view bytes, size_t most, size_t most_work);
// Returns whether the bytes may be deflate or brotli whose decoder begins with bytes that it copies or skips, which may
// look like text. Almost no text is such a stream.
bool may_begin_with_copy(std::string_view bytes);
// Frees the large windows that decompressed() keeps for the next frame. Call it after each block.
void forget_windows();

}  // namespace bottle::scan
