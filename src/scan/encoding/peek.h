// Tells whether encoded text may hide something, without storing what it decodes to. Most of what looks encoded is a
// hash or an identifier, and hides nothing. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "scan/encoding/regions.h"

namespace bottle::scan {

// Returns whether the bytes may contain readable text: 12 printable bytes or zeros in a row, at least 3 of them not
// zero.
bool has_text(std::string_view bytes);
// Returns whether a gzip, zstd or zlib stream or a zip file may begin somewhere in the bytes.
bool has_packed(std::string_view bytes);
// Returns the parts of the bytes in which has_text() finds something, each with some bytes before and after it.
std::vector<Region> readable_parts(std::string_view bytes);

// Says what a short run of Base64 may hide.
struct Peek {
  size_t size = 0;     // of the decoded text, without skipped bits
  char first[3]{};     // its first bytes
  unsigned hides = 0;  // one bit for each number of skipped bits (0, 2, 4, 6): whether the rest may hide something
};
inline constexpr size_t kPeekedRun = 192;
// Returns nothing if the run is longer than kPeekedRun or shorter than 12 characters, or has others than those of
// Base64 and Base64url.
std::optional<Peek> peek_base64(std::string_view run);
// Does the same for a run that may have line ends and padding between its digits, as base64_run() in decode.h reads it.
std::optional<Peek> peek_base64_parts(std::string_view run);

// Returns whether has_text() or has_packed() may be true for the bytes with `bits` (1 to 7) bits skipped, which is
// what shift() in decode.h makes of them.
bool hides_when_shifted(std::string_view aligned, unsigned bits);

// Returns whether has_text() or has_packed() may be true for what the hexadecimal digits decode to, with the first
// digit or without it.
bool hex_hides(std::string_view digits);

// Returns whether has_text() or has_packed() may be true for what decimal_run() makes of the text.
bool decimals_hide(std::string_view text);

}  // namespace bottle::scan
