// Joins the values of parameters and fields in a text, in their order, because a secret may be cut into such pieces.
// Pure.
#pragma once

#include <functional>
#include <string_view>

#include "scan/encoding/decode.h"
#include "scan/encoding/regions.h"

namespace bottle::scan {

inline constexpr size_t kLongestPiece = 128;  // in bytes; longer values are not pieces of a secret

// Returns the values of "a=…&b=…" and of the fields and lists of JSON, without the text between them. Leaves out
// keys and values longer than kLongestPiece bytes, and those that begin outside of the regions. Sets `begun` to the
// number of quotes and equals signs after which it looked for a value, and ends after `most` of them.
Decoded joined_values(std::string_view text, const std::vector<Region>& regions, size_t most, size_t& begun);

// Calls each(name, value) for the first kMostValues such values. Items of a list have the name of the list. Returns
// whether there is any value, including longer ones.
using EachValue = std::function<void(std::string_view name, std::string_view value)>;
inline constexpr size_t kMostValues = 64;
bool each_value(std::string_view text, const EachValue& each);

}  // namespace bottle::scan
