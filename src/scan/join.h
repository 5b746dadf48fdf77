// This file joins what a text keeps in pieces: the values of parameters and fields, in their order. The code is pure.
#pragma once

#include "scan/encoding/decode.h"

namespace bottle::scan {

inline constexpr size_t kLongestPiece = 128;  // in bytes; longer values are not pieces of a secret

// Returns the values of "a=…&b=…" and of the fields and lists of JSON, without the text between them. Leaves out keys
// and values longer than kLongestPiece bytes.
Decoded joined_values(std::string_view text);

}  // namespace bottle::scan
