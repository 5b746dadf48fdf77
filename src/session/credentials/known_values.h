// This file takes the values that must not leave out of a file of `scan.secrets`. The code is pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::session {

inline constexpr size_t kMostKnownFile = 1 << 20;     // bytes of one file
inline constexpr size_t kMostKnownValues = 1000;      // of all files
inline constexpr size_t kMostKnownBytes = 128 << 10;  // of all values

// Returns the values of a file, each under a name that says where it stands, such as "prod.env:DB_PASSWORD" or
// "tokens:3" for a line. A file has one of three forms: a JSON object or list, lines NAME=VALUE, or lines that are
// values. In the first two, ordinary words, numbers and addresses are left out unless their name sounds like a secret.
// Values of fewer than 8 bytes are left out too, because they would be found everywhere by chance. `file` is the
// file's name without its directory. Fails with Code::invalid if the text is not UTF-8 or has no value at all.
Result<std::map<std::string, std::string>> known_values(std::string_view file, std::string_view text);

}  // namespace bottle::session
