// Puts together what a text keeps in pieces: the values of parameters and fields, in their order. Pure.
#pragma once

#include "scan/decode.h"

namespace bottle::scan {

inline constexpr size_t kLongestPiece = 128;  // bytes: what is longer is no piece of a secret

// The values of "a=…&b=…", of the fields and lists of JSON, without what stands between. Keys
// and values of more than kLongestPiece bytes are left out.
Decoded joined_values(std::string_view text);

}  // namespace bottle::scan
