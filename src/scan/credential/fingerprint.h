// Gives a credential a name that reveals nothing about it. The name serves for exceptions, and to tell two findings
// apart. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::scan {

// Returns 12 hexadecimal digits, the beginning of the SHA-256 of the value.
std::string fingerprint(std::string_view value);

}  // namespace bottle::scan
