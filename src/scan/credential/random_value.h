// Recognizes values that are random enough to be credentials, although no rule describes their form. The result is
// good enough for a warning only. Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace bottle::scan {

// Returns whether [begin, end) is a whole value of 32 to 64 characters of Base64 or Base64url that looks random, and
// whose name does not say that it is a hash, an identifier or something else that programs send all the time.
bool is_random_value(std::string_view text, size_t begin, size_t end);

}  // namespace bottle::scan
