// The name of a credential that says nothing about it: for exceptions, and to tell two findings apart. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::scan {

// 12 hexadecimal digits: the beginning of the SHA-256 of the value.
std::string fingerprint(std::string_view value);

}  // namespace bottle::scan
