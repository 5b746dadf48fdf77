// Gives a credential a name that reveals nothing about it. The name serves for exceptions, and to tell two findings
// apart. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "pki/seal.h"

namespace bottle::scan {

// Returns 12 hexadecimal digits, the beginning of the SHA-256 of the value.
inline std::string fingerprint(std::string_view value) {
  constexpr size_t kBytes = 6;
  return to_hex(std::string_view(pki::digest(value)).substr(0, kBytes));
}

}  // namespace bottle::scan
