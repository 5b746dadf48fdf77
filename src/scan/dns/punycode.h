// Tells real names in Punycode (RFC 3492) from data in the same form. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bottle::scan {

// Decodes a label without its "xn--". Returns nothing if it is not Punycode.
std::optional<std::u32string> punycode_decoded(std::string_view label);

// Returns whether the text can be a label of a real name: a few characters, of one or two scripts.
bool is_likely_name(std::u32string_view text);

}  // namespace bottle::scan
